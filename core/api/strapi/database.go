package strapi

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

const maxMemory = 1 << 30 // bytes of address space that SQLite may take, of which only what is used is memory

// database is Strapi's SQLite file. It is only read, and belongs to one goroutine.
type database struct {
	db      *sqlite3.Conn
	tables  map[string]bool
	columns map[string][]string // by table, as far as somebody asked
}

func openDatabase(path string) (*database, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	uri := url.URL{Scheme: "file", Path: path, RawQuery: "mode=ro"}
	ctx := sqlite3.WithMaxMemory(context.Background(), maxMemory)
	db, err := sqlite3.OpenContext(ctx, uri.String())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	d := &database{db: db, tables: make(map[string]bool), columns: make(map[string][]string)}
	err = errors.Join(
		db.Exec("PRAGMA query_only=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA busy_timeout=5000"),
		d.rows(context.Background(), "SELECT name FROM sqlite_schema WHERE type = 'table'", nil, func(r row) error {
			d.tables[r.text(0)] = true
			return nil
		}))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(err, db.Close()))
	}
	return d, nil
}

// row is what a query has found, until the next one.
type row struct{ *sqlite3.Stmt }

func (r row) text(column int) string { return r.ColumnText(column) }
func (r row) int(column int) int64   { return r.ColumnInt64(column) }

// value is what a column has: nil, int64, float64 or string.
func (r row) value(column int) any {
	switch r.ColumnType(column) {
	case sqlite3.INTEGER:
		return r.ColumnInt64(column)
	case sqlite3.FLOAT:
		return r.ColumnFloat(column)
	case sqlite3.TEXT, sqlite3.BLOB:
		return r.ColumnText(column)
	case sqlite3.NULL:
	}
	return nil
}

// rows calls each with all that a query finds. The arguments are texts and whole numbers.
func (d *database) rows(ctx context.Context, sql string, args []any, each func(row) error) error {
	defer d.db.SetInterrupt(d.db.SetInterrupt(ctx))
	s, _, err := d.db.Prepare(sql)
	if err != nil {
		return explain(ctx, err)
	}
	defer s.Close()
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			err = s.BindText(i+1, text)
		} else {
			err = s.BindInt64(i+1, arg.(int64))
		}
		if err != nil {
			return err
		}
	}
	for s.Step() {
		if err := each(row{s}); err != nil {
			return err
		}
	}
	return explain(ctx, s.Err())
}

// explain has an interrupt say why.
func explain(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// number is the first value of the first row, 0 if there is none.
func (d *database) number(ctx context.Context, sql string, args ...any) (n int64, err error) {
	err = d.rows(ctx, sql, args, func(r row) error {
		n = r.int(0)
		return nil
	})
	return n, err
}

// columnsOf are a table's columns in their order; none when there is no such table.
func (d *database) columnsOf(ctx context.Context, table string) ([]string, error) {
	if known, ok := d.columns[table]; ok || !d.tables[table] {
		return known, nil
	}
	var names []string
	err := d.rows(ctx, "SELECT name FROM pragma_table_info(?) ORDER BY cid", []any{table}, func(r row) error {
		names = append(names, r.text(0))
		return nil
	})
	if err == nil {
		d.columns[table] = names
	}
	return names, err
}

// setting is a value of Strapi's own settings, "" if there is none.
func (d *database) setting(ctx context.Context, key string) (value string, err error) {
	err = d.rows(ctx, "SELECT value FROM strapi_core_store_settings WHERE key = ?", []any{key}, func(r row) error {
		value = r.text(0)
		return nil
	})
	return value, err
}

// quoted is a name in SQL.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
