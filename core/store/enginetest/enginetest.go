// Package enginetest opens stores of every engine for the tests of what keeps something in them.
//
//	var engines enginetest.Engines
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(engines.Around(m)) }
//
// In come ways to have a store. What all engines must do alike is storetest's business.
package enginetest

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/mongodb"
	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
	"github.com/onehost/edge/core/store/sqlite"
	"github.com/onehost/edge/core/store/storetest"
)

// Engines are all engines there are, with one mongod for all tests of a package.
type Engines struct{ mongodbtest.Shared }

// Addresses make, by the engine's name, the address of a new, empty store. Several processes, or several stores of one process, can share one of MongoDB.
func (e *Engines) Addresses() map[string]func(t testing.TB) string {
	return map[string]func(t testing.TB) string{
		"sqlite": func(t testing.TB) string { return filepath.Join(t.TempDir(), "edge.db") },
		"mongodb": func(t testing.TB) string {
			set := e.Set(t)
			return mongodbtest.In(t, set.URI(), set.Database(t))
		},
	}
}

// Each runs a test on a new, empty store of every engine, and on one in memory.
func (e *Engines) Each(t *testing.T, test func(t *testing.T, s store.Store)) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, storetest.NewMemory())
	})
	for name, address := range e.Addresses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, Opened(t, address(t)))
		})
	}
}

// Open opens the store of an address.
func Open(ctx context.Context, address string) (store.Store, error) {
	quiet := slog.New(slog.DiscardHandler)
	if strings.HasPrefix(address, "mongodb://") {
		return mongodb.Open(mongodb.Options{URI: address, Log: quiet})
	}
	return sqlite.Open(ctx, address, quiet)
}

// Opened is the store of an address until the test ends.
func Opened(t testing.TB, address string) store.Store {
	t.Helper()
	s, err := Open(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
