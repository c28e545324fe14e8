package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/onehost/edge/core/api"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/forms"
	"github.com/onehost/edge/core/jobs/action"
	"github.com/onehost/edge/core/jobs/schedule"
	"github.com/onehost/edge/core/lambda"
	"github.com/onehost/edge/core/mail"
	"github.com/onehost/edge/core/store/mongodb"
	"github.com/onehost/edge/core/webhooks"
	"github.com/onehost/edge/edge/internal/admin"
	"github.com/onehost/edge/edge/internal/cert"
	"github.com/onehost/edge/edge/internal/rules"
	"github.com/onehost/edge/edge/internal/site"
	"github.com/onehost/edge/edge/internal/target"
	"github.com/onehost/edge/plugins/host"
	"golang.org/x/sys/unix"
)

// systemConfig is where a sysadmin keeps the configuration.
const systemConfig = "/etc/edge/edge.yaml"

// invalidConfig is a configuration that can't be used.
type invalidConfig struct{ problems []config.Problem }

func (e *invalidConfig) Error() string {
	errs := slices.DeleteFunc(slices.Clone(e.problems), func(p config.Problem) bool { return p.Warning })
	switch len(errs) {
	case 0:
		return "the configuration is invalid"
	case 1:
		return errs[0].Error()
	default:
		return fmt.Sprintf("%d problems in the configuration, the first: %v", len(errs), errs[0])
	}
}

func (e *invalidConfig) print(w io.Writer) { _ = config.Format(w, e.problems) }

// configPath returns the configuration file that a command is about.
func (c *cli) configPath() (string, error) {
	if c.config != "" {
		return c.config, nil
	}
	for _, path := range []string{systemConfig, "edge.yaml"} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", usage("no configuration: %s and ./edge.yaml do not exist; name one with -c FILE, or write one with `edge init`", systemConfig)
}

// processEnv is what this process's environment may give a configuration.
func processEnv() config.Env {
	return config.Env{
		LookupEnv:      os.LookupEnv,
		Credentials:    os.Getenv("CREDENTIALS_DIRECTORY"),
		StateDirectory: os.Getenv("STATE_DIRECTORY"),
	}
}

// load reads a configuration and has every room judge it. Warnings come with a configuration; errors come without.
func load(path string) (*config.Config, []config.Problem, error) {
	cfg, problems := config.Load(path, processEnv(), cert.Check, rules.Check, site.Check, target.Check, lambda.Check, forms.Check, webhooks.Check, host.Check, schedule.Check, action.Check, api.Check, checkStore, checkMail, checkFolders)
	if config.Failed(problems) {
		return nil, problems, &invalidConfig{problems}
	}
	return cfg, problems, nil
}

// checkStore has the engine judge how the store is named. Nothing is opened.
func checkStore(cfg *config.Config) []config.Problem {
	if cfg.Store.Embedded() {
		return nil
	}
	err := mongodb.Check(placeIn(cfg).set)
	if err == nil {
		return nil
	}
	return []config.Problem{cfg.Problem(err.Error(), "store")}
}

// checkMail has the room judge how mail is sent. Nobody is asked.
func checkMail(cfg *config.Config) []config.Problem {
	if cfg.Mail == nil {
		return nil
	}
	if _, err := mail.New(context.Background(), *cfg.Mail, slog.New(slog.DiscardHandler)); err != nil {
		return []config.Problem{cfg.Problem(err.Error(), "mail")}
	}
	return nil
}

// checkFolders warns of folders that a server of this user could not write to.
func checkFolders(cfg *config.Config) []config.Problem {
	var problems []config.Problem
	warn := func(err error, path ...any) {
		if err != nil {
			problems = append(problems, cfg.Warning(err.Error(), path...))
		}
	}
	warn(canMake(cfg.DataDir), "data_dir")
	if filepath.IsAbs(cfg.Log.Access) {
		folder := filepath.Dir(cfg.Log.Access)
		_, err := os.Stat(folder)
		if within, relErr := filepath.Rel(cfg.DataDir, folder); relErr == nil && within == "." {
			err = nil // the start makes it
		}
		warn(err, "log", "access")
	}
	return problems
}

// canMake returns why a folder can't be made or written to by this user.
func canMake(folder string) error {
	for at := folder; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at):
			continue
		case errors.Is(err, syscall.ENOTDIR):
			continue
		case err != nil:
			return err
		case !info.IsDir():
			return fmt.Errorf("%s is no folder", at)
		case unix.Access(at, unix.W_OK) != nil:
			return fmt.Errorf("%s is not writable by this user", at)
		default:
			return nil
		}
	}
}

// ask asks the running server for something, and waits no longer than that may take.
func ask[T any](ctx context.Context, c *cli, question func(*admin.Client, context.Context) (T, error)) (answer T, err error) {
	client, err := c.client()
	if err != nil {
		return answer, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return question(client, ctx)
}

// askFor is ask with what the question is about.
func askFor[About, T any](ctx context.Context, c *cli, question func(*admin.Client, context.Context, About) (T, error), about About) (T, error) {
	return ask(ctx, c, func(client *admin.Client, ctx context.Context) (T, error) { return question(client, ctx, about) })
}

// client returns a client for the running server's admin socket.
func (c *cli) client() (*admin.Client, error) {
	if c.admin != "" {
		return admin.NewClient(socketPath(c.admin)), nil
	}
	if socket := os.Getenv("EDGE_ADMIN"); socket != "" {
		return admin.NewClient(socketPath(socket)), nil
	}
	path, err := c.configPath()
	if err != nil {
		return nil, err
	}
	where, err := config.Locate(path, processEnv())
	if err != nil {
		return nil, err
	}
	return admin.NewClient(socketPath(where.Admin)), nil
}
