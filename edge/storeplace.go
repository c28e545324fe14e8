package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/mongodb"
	"github.com/onehost/edge/core/store/sqlite"
)

// storePlace is where a store is that a command line names.
type storePlace struct {
	name string // for people
	file string // of an embedded store; "" for a replica set
	set  mongodb.Options
}

// placeOf understands an argument, of which the command line says FROM or TO.
func placeOf(argument, name, configuration string) (storePlace, error) {
	switch extension := filepath.Ext(name); {
	case strings.HasPrefix(name, "mongodb://"), strings.HasPrefix(name, "mongodb+srv://"):
		return storePlace{name: config.Store{URI: name}.String(), set: mongodb.Options{URI: name}}, nil
	case strings.Contains(name, "://"):
	case extension == ".yaml", extension == ".yml":
		return configuredPlace(name)
	case extension == ".db":
		return storePlace{name: name, file: name}, nil
	case name == config.SQLite && configuration == "":
		return storePlace{}, usage("sqlite is the file edge.db in the data_dir of a configuration, and there is none; name one with -c FILE, or the file itself")
	case name == config.SQLite:
		cfg, _, err := load(configuration)
		if err != nil {
			return storePlace{}, err
		}
		return filePlace(cfg), nil
	}
	return storePlace{}, usage("%s names no store: write sqlite, FILE.yaml, FILE.db or mongodb://…", argument)
}

// configuredPlace is the store of a configuration.
func configuredPlace(path string) (storePlace, error) {
	cfg, _, err := load(path)
	if err != nil {
		return storePlace{}, err
	}
	return placeIn(cfg), nil
}

// placeIn is where a configuration says that the store is.
func placeIn(cfg *config.Config) storePlace {
	if cfg.Store.Embedded() {
		return filePlace(cfg)
	}
	return storePlace{name: cfg.Store.String(), set: mongodb.Options{URI: cfg.Store.URI, User: cfg.Store.User, Password: cfg.Store.Password}}
}

// filePlace is the embedded store of a configuration, whether or not it is the one that it names.
func filePlace(cfg *config.Config) storePlace {
	file := filepath.Join(cfg.DataDir, "edge.db")
	return storePlace{name: file, file: file}
}

// is reports whether both are known to be one store, by whatever paths a file is named.
func (p storePlace) is(other storePlace) bool {
	if p.file == "" || other.file == "" {
		return p.name == other.name
	}
	mine, err := os.Stat(p.file)
	if err != nil {
		return false // what is not there yet is no store
	}
	theirs, err := os.Stat(other.file)
	return err == nil && os.SameFile(mine, theirs)
}

// open opens the store. A file that is not there is made; servers are not waited for.
func (p storePlace) open(ctx context.Context, log *slog.Logger) (store.Store, error) {
	if p.file != "" {
		return sqlite.Open(ctx, p.file, log)
	}
	p.set.Log = log
	return mongodb.Open(p.set)
}

// openKept opens a store that is there.
func (p storePlace) openKept(ctx context.Context) (store.Store, error) {
	if p.file != "" {
		if _, err := os.Stat(p.file); err != nil {
			return nil, fmt.Errorf("there is no store to read: %w", err)
		}
	}
	return p.open(ctx, slog.New(slog.DiscardHandler))
}
