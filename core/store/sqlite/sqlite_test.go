package sqlite

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "insert until killed":
		insertUntilKilled()
	case "insert beside another":
		insertBeside()
		os.Exit(0)
	case "full disk":
		onFullDisk()
		os.Exit(0)
	case "read-only disk":
		onReadOnlyDisk()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func engine() storetest.Engine {
	return storetest.Engine{
		Open:  func(tb testing.TB) store.Store { return open(tb, filepath.Join(tb.TempDir(), "data", "store.db")) },
		Again: func(tb testing.TB, s store.Store) store.Store { return open(tb, s.(*Store).path) },
		Forget: func(tb testing.TB, s store.Store, collection string) {
			one := s.(*Store)
			last := func(t *tx) error { // of all events, which stays
				return t.conn.exec(t.ctx, "INSERT INTO _events(collection,kind,id,at) VALUES('','','',0)")
			}
			err := one.submit(tb.Context(), 0, last)
			if err := errors.Join(err, one.trim(tb.Context(), one.catalog.Load().collections[collection], math.MaxInt64)); err != nil {
				tb.Fatal(err)
			}
		},
	}
}

// open opens a store until the test ends.
func open(tb testing.TB, path string) *Store {
	tb.Helper()
	s, err := Open(context.Background(), path, slog.New(slog.NewTextHandler(tb.Output(), nil)))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func TestTheSuite(t *testing.T) { storetest.Run(t, engine()) }

func BenchmarkTheSuite(b *testing.B) { storetest.Benchmark(b, engine()) }
