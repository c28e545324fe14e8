package main

import (
	"context"
	stdlog "log"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/onehost/edge/core/config"
	"github.com/spf13/cobra"
)

func (c *cli) runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "serve in the foreground",
		Long: `run serves until it is told to stop. SIGTERM or Ctrl-C drains: no new connections,
requests under way get as long as shutdown says (default 30s). Where a host has a
health path, which says 503 then, new connections are taken while there are any,
for half of that time. A second signal stops at once. SIGHUP reloads the
configuration.

Memory: the garbage collector goes by the machine's memory and by the limits of
edge's control group (systemd's MemoryMax and MemoryHigh). GOMEMLIMIT and GOGC in
the environment win.`,
		Example: "  edge run -c edge.yaml",
		Args:    exactly(),
		RunE:    func(command *cobra.Command, _ []string) error { return c.run(command.Context()) },
	}
}

func (c *cli) run(ctx context.Context) error {
	path, err := c.configPath()
	if err != nil {
		return err
	}
	cfg, problems, err := load(path)
	if err != nil {
		return err
	}
	if err := config.Format(c.err, problems); err != nil {
		return err
	}
	level := new(slog.LevelVar)
	level.Set(cfg.Log.Level)
	log := slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: level}))

	stdlog.SetFlags(0) // what libraries say by package log, such as net/http of a target's surplus bytes, is detail
	stdlog.SetOutput(slog.NewLogLogger(log.Handler(), slog.LevelDebug).Writer())
	signal.Ignore(syscall.SIGPIPE) // who reads stdout may go: the server stays
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)

	defer runtime.KeepAlive(fitMemory(os.DirFS("/"), os.Getenv, log))
	s, err := newServer(ctx, path, cfg, c.out, log, level)
	if err != nil {
		return err
	}
	return s.run(ctx, hangup)
}
