//go:build !race

package chain

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

func TestARequestDoesNotAllocate(t *testing.T) {
	h, stop := busyHouse(t)
	defer stop()
	mutual := shown(t, name(attr("2.5.4.3", "client")), 1)
	for host, connection := range map[string]*tls.ConnectionState{"example.com": {ServerName: "example.com"}, "mutual.example": mutual} {
		x := new(exchange.Exchange)
		n := testing.AllocsPerRun(1000, func() {
			typical(x, connection)
			x.Host, x.Hostname = host, host
			h.ServeExchange(x)
		})
		if n > 0 {
			t.Errorf("%s: %v allocations", host, n)
		}
		if x.Response.Status != 204 || len(x.ID) != 26 {
			t.Error(x.Response.Status, x.ID)
		}
	}
}

func TestWhoIsRefusedCostsNoAllocation(t *testing.T) {
	h, stop := busyHouse(t)
	defer stop()
	x, connection := new(exchange.Exchange), &tls.ConnectionState{ServerName: "example.com"}
	n := testing.AllocsPerRun(1000, func() {
		typical(x, connection)
		x.Host, x.Hostname = "elsewhere.example", "elsewhere.example"
		h.ServeExchange(x)
	})
	if n > 0 || x.Response.Status != 421 {
		t.Errorf("%v allocations for a %d", n, x.Response.Status)
	}
}

func TestALineDoesNotAllocate(t *testing.T) {
	h, stop := busyHouse(t)
	defer stop()
	x := loggedExchange()
	if n := testing.AllocsPerRun(1000, func() { h.access.exchange(x, 200, time.Second) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
