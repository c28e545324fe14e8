package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/move"
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
	err := c.checkStore(ctx)
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

// checkStore has the running server look, or opens the store of the configuration where none runs.
func (c *cli) checkStore(ctx context.Context) error {
	if runs, err := c.serverRuns(ctx); err != nil {
		return err
	} else if !runs {
		return c.checkOpened(ctx)
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.CheckStore(ctx)
}

// serverRuns reports whether a server answers at the configuration's admin socket. Who names a socket means the server there.
func (c *cli) serverRuns(ctx context.Context) (bool, error) {
	if c.admin != "" || os.Getenv("EDGE_ADMIN") != "" {
		return true, nil
	}
	path, err := c.configPath()
	if err != nil {
		return false, err
	}
	where, err := config.Locate(path, processEnv())
	if err != nil {
		return false, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socketPath(where.Admin))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return false, nil
	}
	if err == nil {
		conn.Close()
	}
	return true, nil // where it can't be reached for another reason, its client says so
}

func (c *cli) checkOpened(ctx context.Context) error {
	path, err := c.configPath()
	if err != nil {
		return err
	}
	at, err := configuredPlace(path)
	if err != nil {
		return err
	}
	opened, err := at.openKept(ctx)
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

Stop edge before, and run this as edge's user: what is written meanwhile is not copied, and files
belong to who makes them. A copy that was interrupted goes on where it was when it is started
again; after kill -9, MongoDB may hold on to what was under way for a minute. Leases are left
behind. It exits with 1 when the two differ. To empty a store again, remove the file with its
-wal and -shm, or drop the databases NAME and NAME_private.`,
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
	fromPlace, err := placeOf("FROM", fromName, path)
	if err != nil {
		return err
	}
	toPlace, err := placeOf("TO", toName, path)
	if err != nil {
		return err
	}
	if fromPlace.is(toPlace) {
		return usage("%s is both FROM and TO", fromPlace.name)
	}
	from, err := fromPlace.openKept(ctx)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := move.Usable(ctx, from); err != nil {
		return fmt.Errorf("FROM, %s: %w", fromPlace.name, err)
	}
	to, err := toPlace.open(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer to.Close()
	report, err := c.copyStores(ctx, from, to)
	if code := fault.CodeOf(err); code == fault.Unavailable || ctx.Err() != nil {
		return fmt.Errorf("%w; the same command goes on from here", err)
	}
	if err != nil && len(report.Collections) == 0 {
		return err
	}
	if c.json {
		return errors.Join(c.printJSON(copiedJSON(report)), err)
	}
	copiedTable(report).print(c.out)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "%s holds what %s does\n", toPlace.name, fromPlace.name)
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

// copiedCollection is what edge store copy says of a collection in JSON.
type copiedCollection struct {
	Name      string   `json:"name"`
	Documents int      `json:"documents"`
	Bytes     int64    `json:"bytes"`
	Hash      string   `json:"sha256"`
	Expired   int      `json:"expired"`
	Differ    int      `json:"differ"`
	Examples  []string `json:"examples,omitempty"`
	Damaged   bool     `json:"damaged"`
}

func copiedJSON(report move.Report) []copiedCollection {
	all := []copiedCollection{}
	for _, col := range report.Collections {
		all = append(all, copiedCollection(col))
	}
	return all
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
