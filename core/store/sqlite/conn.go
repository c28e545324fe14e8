package sqlite

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/ncruces/go-sqlite3"
)

// Limits of one connection.
const (
	maxStatements = 64      // statements kept prepared
	maxMemory     = 1 << 30 // bytes of address space, of which only what is used is memory; a document of control characters needs most
	retireAfter   = 4 << 20 // bytes of a value after which a connection is not kept: its memory never shrinks
)

// conn is one connection to the file. It belongs to one goroutine at a time. Only here is the driver known, and in faults.go its codes.
type conn struct {
	path       string
	shared     bool // whether the -shm was made for it
	db         *sqlite3.Conn
	statements map[string]*statement
	uses       uint64
	largest    int // bytes of the largest value that went through
	counts     counts
}

type statement struct {
	*sqlite3.Stmt
	used uint64
}

// connect opens the file, which has to be there.
func connect(ctx context.Context, path string) (*conn, error) { return connectAs(ctx, path, false) }

// connectAs opens a file that may be immutable: nothing changes it meanwhile, and no lock or log is looked for. A page cache of 1 MiB is what a
// small host can give to each connection; what else is read often is in the kernel's cache.
func connectAs(ctx context.Context, path string, immutable bool) (*conn, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	query := url.Values{"modeof": {path}, "mode": {"rw"}}
	shared := false
	if immutable {
		query = url.Values{"mode": {"ro"}, "immutable": {"1"}}
	} else if isWrittenAhead(path) {
		shared = share(path)
	}
	uri := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	db, err := sqlite3.OpenContext(sqlite3.WithMaxMemory(ctx, maxMemory), uri.String())
	if err != nil {
		return nil, err
	}
	c := &conn{path: path, shared: shared, db: db, statements: make(map[string]*statement)}
	for _, pragma := range []string{"busy_timeout=5000", "synchronous=FULL", "cache_size=-1024", "foreign_keys=OFF", "trusted_schema=OFF", "journal_size_limit=67108864"} {
		if err := c.exec(ctx, "PRAGMA "+pragma); err != nil {
			return nil, c.abandon(err)
		}
	}
	if err := db.CreateFunction("has_text", 3, sqlite3.DETERMINISTIC, hasText); err != nil {
		return nil, c.abandon(err)
	}
	if os.Geteuid() == 0 && !immutable {
		_, err := c.number(ctx, "SELECT count(*) FROM sqlite_schema") // makes the -wal
		give(path+"-wal", path)
		if err != nil {
			return nil, c.abandon(err)
		}
	}
	return c, nil
}

// row is what a query returns, until the next one.
type row struct {
	c *conn
	*sqlite3.Stmt
}

func (r row) text(column int) string {
	raw := r.ColumnRawText(column)
	r.c.largest = max(r.c.largest, len(raw))
	return string(raw)
}

func (r row) int(column int) int64 { return r.ColumnInt64(column) }

func (r row) null(column int) bool { return r.ColumnType(column) == sqlite3.NULL }

// exec carries out a statement whose rows, if any, are of no interest.
func (c *conn) exec(ctx context.Context, sql string, args ...any) error {
	return c.rows(ctx, sql, args, nil)
}

// errEnough is what the function given to rows returns when it wants no more.
var errEnough = errors.New("enough")

// rows carries out a statement and calls each with every row. An error of each ends it. The end of ctx interrupts it.
func (c *conn) rows(ctx context.Context, sql string, args []any, each func(row) error) error {
	defer c.db.SetInterrupt(c.db.SetInterrupt(ctx))
	s, err := c.prepare(sql)
	if err != nil {
		return ended(ctx, err)
	}
	for i, arg := range args {
		if err := c.bind(s, i+1, arg); err != nil {
			return err
		}
	}
	if each == nil {
		return ended(ctx, s.Exec())
	}
	for err == nil && s.Step() {
		err = each(row{c, s.Stmt})
	}
	if err == nil {
		err = s.Err()
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	// A statement that isn't reset keeps its snapshot. What Reset says has been said before.
	_ = s.Reset()
	return ended(ctx, err)
}

// ended has an interrupt say why.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", err, context.Cause(ctx))
	}
	return err
}

func (c *conn) bind(s *statement, i int, v any) error {
	switch v := v.(type) {
	case nil:
		return s.BindNull(i)
	case int64:
		return s.BindInt64(i, v)
	case int:
		return s.BindInt64(i, int64(v))
	case float64:
		return s.BindFloat(i, v)
	case bool:
		return s.BindBool(i, v)
	case string:
		c.largest = max(c.largest, len(v))
		return s.BindText(i, v)
	case []byte:
		c.largest = max(c.largest, len(v))
		return s.BindRawText(i, v)
	}
	return fmt.Errorf("a %T can't be bound", v)
}

// prepare returns the statement of a text, kept from before or new. The one that was not used for longest goes.
func (c *conn) prepare(sql string) (*statement, error) {
	c.uses++
	if s, ok := c.statements[sql]; ok {
		s.used = c.uses
		return s, nil
	}
	stmt, tail, err := c.db.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT)
	if err != nil {
		return nil, err
	}
	if stmt == nil || tail != "" {
		return nil, fmt.Errorf("%q is not one statement", sql)
	}
	if len(c.statements) >= maxStatements {
		c.forget()
	}
	s := &statement{stmt, c.uses}
	c.statements[sql] = s
	return s, nil
}

func (c *conn) forget() {
	var oldest string
	least := c.uses
	for sql, s := range c.statements {
		if s.used <= least && !s.Busy() {
			oldest, least = sql, s.used
		}
	}
	if s, ok := c.statements[oldest]; ok {
		_ = s.Close()
		delete(c.statements, oldest)
	}
}

// changes is how many rows the last statement that changes any has changed.
func (c *conn) changes() int { return int(c.db.Changes()) }

// allChanges counts the rows that were ever changed through this connection.
func (c *conn) allChanges() int64 { return c.db.TotalChanges() }

// inTransaction reports whether a transaction is open. An error may have ended it.
func (c *conn) inTransaction() bool { return !c.db.GetAutocommit() }

// worn reports whether the connection holds more memory than it should keep.
func (c *conn) worn() bool { return c.largest > retireAfter }

// number returns the one number that a statement has for a result.
func (c *conn) number(ctx context.Context, sql string, args ...any) (n int64, err error) {
	err = c.rows(ctx, sql, args, func(r row) error {
		n = r.int(0)
		return nil
	})
	return n, err
}

func (c *conn) close() error {
	for _, s := range c.statements {
		_ = s.Close()
	}
	return c.db.Close()
}
