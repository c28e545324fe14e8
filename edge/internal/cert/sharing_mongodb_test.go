package cert

import (
	"crypto/tls"
	"log/slog"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/mongodb"
	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
	"github.com/onehost/edge/edge/internal/cert/acmetest"
)

// TestThreeHostsOnAReplicaSet is the whole of it, with a CA and a database as there are, and connections of each host's own.
func TestThreeHostsOnAReplicaSet(t *testing.T) {
	t.Parallel()
	set := mongodbtest.Start(t, mongodbtest.Options{})
	s := newStreet(t, acmetest.Options{}, config.HTTP01, "a.test", "b.test")
	s.add(3, func() store.Store {
		one, err := mongodb.Open(mongodb.Options{URI: set.URI(), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { one.Close() })
		return one
	})
	first := s.same("a.test")
	s.same("b.test")
	s.wantOrders("a.test", 1)
	s.wantOrders("b.test", 1)
	s.wantOneAccount()
	visitor := &tls.Config{ServerName: "a.test", InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	until(t, func() bool { return len(s.houses[0].tickets.current()) == 3 && len(s.houses[2].tickets.current()) == 3 })
	if s.houses[0].resumes(visitor) || !s.houses[2].resumes(visitor) {
		t.Error("a session is not resumed at another host")
	}

	database := set.Primary(t)
	database.Kill(t)
	s.own.Store(true)
	s.same("a.test")
	if err := s.houses[1].Renew(t.Context(), "a.test"); err != nil {
		t.Fatal("without the database nothing is renewed: ", err)
	}
	renewed := s.houses[1].leaf("a.test")
	if renewed.Equal(first) {
		t.Fatal("not renewed")
	}
	database.Restart(t)
	if got := s.same("a.test", first); !got.Equal(renewed) {
		t.Error("not the one that was got meanwhile")
	}
	s.wantOrders("a.test", 2)
	for _, h := range s.houses {
		if said := h.Attention(); said != nil {
			t.Error(said)
		}
		if strings.Contains(h.log.String(), "level=ERROR") {
			t.Error(h.log)
		}
	}
}
