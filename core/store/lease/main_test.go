package lease

import (
	"log/slog"
	"net/url"
	"testing"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/mongodb"
	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
	"github.com/onehost/edge/core/store/storetest"
	"go.uber.org/goleak"
)

var shared mongodbtest.Shared

func TestMain(m *testing.M) {
	asChild()
	goleak.VerifyTestMain(shared.Around(m))
}

// onEveryStore runs a test on all stores that there are.
func onEveryStore(t *testing.T, test func(t *testing.T, s store.Store)) {
	for name, open := range map[string]func(t *testing.T) store.Store{
		"memory":  func(*testing.T) store.Store { return storetest.NewMemory() },
		"mongodb": func(t *testing.T) store.Store { return openMongoDB(t, mongoDB(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			t.Cleanup(func() { s.Close() })
			ensured(t, s)
			test(t, s)
		})
	}
}

// mongoDB returns the URI of a new database.
func mongoDB(t *testing.T) string {
	set := shared.Set(t)
	u, err := url.Parse(set.URI())
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + set.Database(t)
	return u.String()
}

func openMongoDB(t *testing.T, uri string) store.Store {
	s, err := mongodb.Open(mongodb.Options{URI: uri, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
