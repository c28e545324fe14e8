package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/mongodb"
	"github.com/onehost/edge/core/store/move"
	"github.com/onehost/edge/core/store/sqlite"
	"github.com/spf13/cobra"
)

// checkTimeout is how long looking through a store may take.
const checkTimeout = time.Hour

func (c *cli) storeCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "store",
		Short: "make the store's users, move house, look for damage",
		Long: `store is about where all that lasts is kept: the file edge.db in data_dir (store: sqlite),
or a MongoDB replica set that several hosts share (store: mongodb://…).`,
		Example: "  edge store check\n  edge store copy sqlite /etc/edge/edge.yaml",
		Args:    exactly(),
		RunE:    func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(c.storeInitCommand(), c.storeCopyCommand(), c.storeCheckCommand())
	return command
}

func (c *cli) storeCheckCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "check",
		Short: "look for damage in the store",
		Long: `check reads the whole store and says what is damaged: documents that can't be read, indexes that
are not what they should be and, of the file edge.db, pages. It changes nothing. The running
server does it, if there is one; else the store of the configuration is opened. It exits with
1 when something is wrong.`,
		Example: "  edge store check",
		Args:    exactly(),
		RunE:    func(command *cobra.Command, _ []string) error { return c.storeCheck(command.Context()) },
	})
}

func (c *cli) storeCheck(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	defer c.progress("reading the store")()
	err := c.checkByServer(ctx)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		err = c.checkOpened(ctx)
	}
	if c.json {
		found := struct {
			Good  bool   `json:"good"`
			Error string `json:"error,omitempty"`
		}{Good: err == nil}
		if err != nil {
			found.Error = err.Error()
		}
		return errors.Join(c.printJSON(found), err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.out, "the store is good")
	return err
}

func (c *cli) checkByServer(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.CheckStore(ctx)
}

func (c *cli) checkOpened(ctx context.Context) error {
	path, err := c.configPath()
	if err != nil {
		return err
	}
	opened, _, err := openNamed(ctx, path, path)
	if err != nil {
		return err
	}
	defer opened.Close()
	return opened.Check(ctx)
}

func (c *cli) storeCopyCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "copy FROM TO",
		Short: "copy all that a store keeps into another one",
		Long: `copy brings all that FROM keeps into TO, which has to be empty, and then compares both,
document by document. Each is one of

  sqlite                     the file edge.db in the configuration's data_dir
  FILE.yaml                  the store of that configuration, with its user and password
  FILE.db                    a file such as edge.db
  mongodb://… mongodb+srv:// a replica set

Stop edge before: what is written meanwhile is not copied. A copy that was interrupted goes on
where it was when it is started again. Leases are left behind. It exits with 1 when the two differ.`,
		Example: `  edge store copy sqlite mongodb://db1,db2,db3/edge
  edge store copy sqlite /etc/edge/edge-mongodb.yaml`,
		Args: exactly("FROM", "TO"),
		RunE: func(command *cobra.Command, args []string) error {
			return c.storeCopy(command.Context(), args[0], args[1])
		},
	})
}

func (c *cli) storeCopy(ctx context.Context, fromName, toName string) error {
	path, _ := c.configPath() // needed for sqlite alone
	from, fromName, err := openNamed(ctx, fromName, path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, toName, err := openNamed(ctx, toName, path)
	if err != nil {
		return err
	}
	defer to.Close()
	if fromName == toName {
		return usage("%s is both FROM and TO", fromName)
	}
	report, err := c.copyStores(ctx, from, to)
	if code := fault.CodeOf(err); code == fault.Unavailable || ctx.Err() != nil {
		return fmt.Errorf("%w; the same command goes on from here", err)
	}
	if err != nil && len(report.Collections) == 0 {
		return err
	}
	if c.json {
		return errors.Join(c.printJSON(report.Collections), err)
	}
	copiedTable(report).print(c.out)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "%s holds what %s does\n", toName, fromName)
	return err
}

// copyStores copies, and says how far it is.
func (c *cli) copyStores(ctx context.Context, from, to store.Store) (move.Report, error) {
	var at atomic.Pointer[move.Progress]
	at.Store(new(move.Progress))
	defer c.progressing(func() string {
		p := at.Load()
		doing := "copying"
		if p.Verifying {
			doing = "comparing"
		}
		return fmt.Sprintf("%s %s: %d of %d documents, %.1f MiB", doing, p.Collection, p.Done, p.Total, float64(p.Bytes)/(1<<20))
	})()
	return move.Copy(ctx, from, to, func(p move.Progress) { at.Store(&p) })
}

func copiedTable(report move.Report) *table {
	t := new(table)
	t.head("COLLECTION", "DOCUMENTS", "BYTES", "SHA-256", "STATE")
	for _, col := range report.Collections {
		state := cell{"the same in both", green}
		switch {
		case col.Damaged:
			state = cell{"damaged", red}
		case col.Differ > 0:
			state = cell{fmt.Sprintf("%d differ: %s", col.Differ, strings.Join(col.Examples, ", ")), red}
		}
		t.row(plain("%s", col.Name), plain("%d", col.Documents), plain("%d", col.Bytes), plain("%.12s", col.Hash), state)
	}
	return t
}

// openNamed opens the store that an argument names, and returns its name for people.
func openNamed(ctx context.Context, name, configuration string) (store.Store, string, error) {
	log := slog.New(slog.DiscardHandler)
	switch {
	case strings.HasPrefix(name, "mongodb://"), strings.HasPrefix(name, "mongodb+srv://"):
		opened, err := mongodb.Open(mongodb.Options{URI: name, Log: log})
		return opened, config.Store{URI: name}.String(), err
	case filepath.Ext(name) == ".yaml", filepath.Ext(name) == ".yml":
		cfg, _, err := load(name)
		if err != nil {
			return nil, "", err
		}
		opened, err := openStore(ctx, cfg, log)
		return opened, storeName(cfg), err
	case name == config.SQLite:
		if configuration == "" {
			return nil, "", usage("sqlite is the file edge.db in the data_dir of a configuration, and there is none; name one with -c FILE, or the file itself")
		}
		cfg, _, err := load(configuration)
		if err != nil {
			return nil, "", err
		}
		name = embeddedPath(cfg.DataDir)
	}
	opened, err := sqlite.Open(ctx, name, log)
	return opened, name, err
}

func storeName(cfg *config.Config) string {
	if cfg.Store.Embedded() {
		return embeddedPath(cfg.DataDir)
	}
	return cfg.Store.String()
}
