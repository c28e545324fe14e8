package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/cert/budget"
	"github.com/onehost/edge/edge/internal/cert/preflight"
	"github.com/spf13/cobra"
)

func (c *cli) preflightCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "preflight [HOST...]",
		Short: "say why a host has no certificate: DNS, ports, CAA, clock, storage, rate budget",
		Long: `preflight looks at all that a certificate depends on, for the hosts and aliases named or
for all: the names in the DNS and whether their addresses lead here, who answers on ports
80 and 443, CAA records, the CA and the account there, credentials for DNS, this host's
clock and storage, and what is left of the CA's rate budget. It changes nothing and orders
nothing. What it sees it sees from this host: a firewall that stops others only is not
seen. Run it as the user that edge runs as, or as root. It exits with 1 when something would prevent a certificate.`,
		Example: "  edge preflight\n  edge preflight example.com www.example.com --json",
		RunE:    func(command *cobra.Command, args []string) error { return c.preflight(command.Context(), args) },
	})
}

func (c *cli) preflight(ctx context.Context, args []string) error {
	var names []string
	for _, arg := range args {
		name, err := config.ParseHost(arg)
		if err != nil {
			return usage("%q is no host: %v", arg, err)
		}
		names = append(names, name)
	}
	path, err := c.configPath()
	if err != nil {
		return err
	}
	cfg, _, err := load(path)
	if err != nil {
		return err
	}
	done := c.progress("looking at names, ports and CAs")
	findings := preflight.Run(ctx, preflight.Options{
		Config: cfg, Names: names,
		Budget: budget.New(filepath.Join(cfg.DataDir, "budget"), slog.New(slog.DiscardHandler)),
	})
	done()
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.json {
		err = c.printJSON(findings)
	} else {
		c.printFindings(findings)
	}
	if err == nil && preflight.Failed(findings) {
		return fmt.Errorf("%s would prevent a certificate", count(failures(findings), "finding"))
	}
	return err
}

func (c *cli) printFindings(findings []preflight.Finding) {
	t := new(table)
	t.head("HOST", "CHECK", "RESULT", "SEEN")
	before := ""
	for _, f := range findings {
		host := f.Host
		if host == "" {
			host = "this host"
		}
		if host == before {
			host = ""
		} else {
			before = host
		}
		t.row(cell{host, bold}, plain("%s", f.Check), cell{string(f.Result), paintOf(f.Result)}, plain("%s", f.Seen))
		if f.Do != "" {
			t.row(plain(""), plain(""), plain(""), plain("→ %s", f.Do))
		}
	}
	t.print(c.out)
}

func paintOf(r preflight.Result) string {
	switch r {
	case preflight.OK:
		return green
	case preflight.Fail:
		return red
	default:
		return yellow
	}
}

func failures(findings []preflight.Finding) int {
	n := 0
	for _, f := range findings {
		if f.Result == preflight.Fail {
			n++
		}
	}
	return n
}
