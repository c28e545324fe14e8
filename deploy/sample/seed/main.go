// Command seed gives the sample's tweet function something to choose from: each line of the standard input becomes a row of the table tweets,
// unless the table is there.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/ncruces/go-sqlite3/driver"
)

func main() {
	file := flag.String("file", "", "`path` of the SQLite file")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := seed(ctx, *file); err != nil {
		log.Fatal(err)
	}
}

func seed(ctx context.Context, file string) (err error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	uri := url.URL{Scheme: "file", Path: path, RawQuery: "_txlock=immediate&_pragma=busy_timeout(5000)"}
	db, err := driver.Open(uri.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	var there bool
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE name = 'tweets'").Scan(&there); err != nil || there {
		return err
	}
	if _, err := tx.ExecContext(ctx, "CREATE TABLE tweets (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if _, err := tx.ExecContext(ctx, "INSERT INTO tweets (text) VALUES (?)", lines.Text()); err != nil {
			return fmt.Errorf("%q: %w", lines.Text(), err)
		}
	}
	return errors.Join(lines.Err(), tx.Commit())
}
