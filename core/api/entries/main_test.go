package entries

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/mongodb"
	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
	"github.com/onehost/edge/core/store/sqlite"
	"github.com/onehost/edge/core/store/storetest"
	"go.uber.org/goleak"
)

var shared mongodbtest.Shared

func TestMain(m *testing.M) { goleak.VerifyTestMain(shared.Around(m)) }

var quiet = slog.New(slog.DiscardHandler)

// onSQLite is a new, empty store in a file.
func onSQLite(t testing.TB) store.Store {
	t.Helper()
	s, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "edge.db"), quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// onEveryStore runs a test on all stores that there are.
func onEveryStore(t *testing.T, test func(t *testing.T, s store.Store)) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, storetest.NewMemory())
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, onSQLite(t))
	})
	t.Run("mongodb", func(t *testing.T) {
		t.Parallel()
		set := shared.Set(t)
		s, err := mongodb.Open(mongodb.Options{URI: mongodbtest.In(t, set.URI(), set.Database(t)), Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		test(t, s)
	})
}

// patient is a context that gives a call the time that a busy machine takes.
func patient(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
