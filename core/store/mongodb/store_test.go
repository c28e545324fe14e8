package mongodb

import (
	"log/slog"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
	"github.com/onehost/edge/core/store/storetest"
)

var shared mongodbtest.Shared

func TestMain(m *testing.M) {
	asChild()
	goleak.VerifyTestMain(shared.Around(m))
}

// open opens a store that is closed when the test ends.
func open(tb testing.TB, uri string) *Store {
	tb.Helper()
	s, err := Open(Options{URI: uri, Log: slog.New(slog.DiscardHandler)})
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

// opened is a store in a database of its own on the set that all tests share.
func opened(tb testing.TB) *Store {
	set := shared.Set(tb)
	return open(tb, mongodbtest.In(tb, set.URI(), set.Database(tb)))
}

func engine(set func(testing.TB) *mongodbtest.Set) storetest.Engine {
	var mu sync.Mutex
	at := make(map[store.Store]string)
	return storetest.Engine{
		Open: func(tb testing.TB) store.Store {
			uri := mongodbtest.In(tb, set(tb).URI(), set(tb).Database(tb))
			s := open(tb, uri)
			mu.Lock()
			defer mu.Unlock()
			at[s] = uri
			return s
		},
		Again: func(tb testing.TB, s store.Store) store.Store {
			mu.Lock()
			defer mu.Unlock()
			return open(tb, at[s])
		},
	}
}

func TestAReplicaSetOfOnePassesTheSuite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, engine(shared.Set))
}

func FuzzAReplicaSetOfOne(f *testing.F) { storetest.Fuzz(f, engine(shared.Set)) }

func TestAReplicaSetOfThreePassesTheSuite(t *testing.T) {
	if os.Getenv("EDGE_SOAK") == "" {
		t.Skip("SKIPPED: the suite on three members takes a minute more, for make soak (EDGE_SOAK)")
	}
	t.Parallel()
	set := mongodbtest.Start(t, mongodbtest.Options{Members: 3})
	storetest.Run(t, engine(func(testing.TB) *mongodbtest.Set { return set }))
}
