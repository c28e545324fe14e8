package lease

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
	"go.uber.org/goleak"
)

var shared mongodbtest.Shared

func TestMain(m *testing.M) {
	asChild()
	goleak.VerifyTestMain(shared.Around(m))
}

// addresses are of a new, empty store of every engine.
var addresses = map[string]func(t *testing.T) string{
	"sqlite": func(t *testing.T) string { return filepath.Join(t.TempDir(), "edge.db") },
	"mongodb": func(t *testing.T) string {
		set := shared.Set(t)
		return mongodbtest.In(t, set.URI(), set.Database(t))
	},
}

// openAt opens the store of an address.
func openAt(ctx context.Context, address string) (store.Store, error) {
	log := slog.New(slog.DiscardHandler)
	if strings.HasPrefix(address, "mongodb://") {
		return mongodb.Open(mongodb.Options{URI: address, Log: log})
	}
	return sqlite.Open(ctx, address, log)
}

// opened is the store of an address, ready, until the test ends.
func opened(t *testing.T, address string) store.Store {
	t.Helper()
	s, err := openAt(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	ensured(t, s)
	return s
}

// onEveryStore runs a test on all stores that there are.
func onEveryStore(t *testing.T, test func(t *testing.T, s store.Store)) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, memory(t))
	})
	for name, address := range addresses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, opened(t, address(t)))
		})
	}
}
