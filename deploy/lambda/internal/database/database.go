// Package database opens the database of a function: MongoDB in AWS, as the user of functions, or a SQLite file of this host, which several
// processes have open at once. In comes connecting; what is kept is each function's own business.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/ncruces/go-sqlite3/driver"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"

	"github.com/onehost/edge/deploy/lambda/internal/setting"
)

// Database is exactly one of the two.
type Database struct {
	Mongo  *mongo.Database
	SQLite *sql.DB
}

const within = 5 * time.Second // for reaching a server, for waiting for another process that writes

// Open opens what MONGODB_URI or SQLITE_FILE says; a fault of theirs is among those of the settings, and then there is no database. No
// MongoDB server is waited for.
func Open(ctx context.Context, s *setting.Settings) (*Database, error) {
	uri, file := s.Text("MONGODB_URI", ""), s.Text("SQLITE_FILE", "")
	switch {
	case (uri == "") == (file == ""):
		s.Fault("MONGODB_URI", "or SQLITE_FILE has to be there: exactly one of them")
		return &Database{}, nil
	case uri != "":
		db, err := openMongo(uri)
		if err != nil {
			s.Fault("MONGODB_URI", err.Error())
		}
		return &Database{Mongo: db}, nil
	}
	db, err := openSQLite(ctx, file)
	if err != nil {
		return nil, fmt.Errorf("opening the file of the environment variable SQLITE_FILE: %w", err)
	}
	return &Database{SQLite: db}, nil
}

// openMongo returns errors that end a sentence about the variable, and show nothing of it.
func openMongo(uri string) (*mongo.Database, error) {
	parsed, err := connstring.Parse(uri)
	switch {
	case err != nil:
		return nil, errors.New("has to be mongodb://USER:PASSWORD@HOSTS/DATABASE?OPTIONS, as `edge store init` prints it for functions")
	case parsed.Database == "":
		return nil, errors.New("has to name a database after the hosts: mongodb://USER:PASSWORD@HOSTS/DATABASE, such as edge_functions")
	}
	client, err := mongo.Connect(options.Client().ApplyURI(uri).
		SetAppName("edge functions").
		SetConnectTimeout(within).SetServerSelectionTimeout(within).SetTimeout(2 * within).
		SetMaxPoolSize(4). // an instance has one invocation at a time
		SetRetryWrites(true).SetRetryReads(true).
		SetWriteConcern(writeconcern.Majority()).SetReadConcern(readconcern.Majority()))
	if err != nil {
		return nil, errors.New("is refused by MongoDB's driver: see to its options, and to the files that they name")
	}
	return client.Database(parsed.Database), nil
}

// openSQLite makes the file if there is none. What was done is on disk when a transaction ends.
func openSQLite(ctx context.Context, file string) (*sql.DB, error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	private, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // what SQLite makes beside it gets the same mode
	if err != nil {
		return nil, err
	}
	if err := private.Close(); err != nil {
		return nil, err
	}
	query := url.Values{"_txlock": {"immediate"}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", within.Milliseconds()), "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "trusted_schema(0)",
	}}
	uri := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	db, err := driver.Open(uri.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(2)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Close ends the connections.
func (d *Database) Close(ctx context.Context) error {
	if d.Mongo != nil {
		return d.Mongo.Client().Disconnect(ctx)
	}
	if d.SQLite != nil {
		return d.SQLite.Close()
	}
	return nil
}
