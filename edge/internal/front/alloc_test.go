//go:build !race

package front

import (
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/onehost/edge/edge/internal/exchange"
)

// The ceilings of this file keep the way of a request from allocating. They are for what is there in steady state: the
// race detector makes pools forget at random, so nothing is measured under it.

func TestAllocations(t *testing.T) {
	const n = 5000
	if got := testing.AllocsPerRun(1, func() { keepAlive(n) }) / n; got > 0.05 {
		t.Errorf("%.2f allocations for an exchange, want 0", got)
	}
}

// Of what h2 and h3 allocate, nothing is ours.
func TestAllocationsOfTheAdapter(t *testing.T) {
	for _, protocol := range []exchange.Protocol{exchange.HTTP2, exchange.HTTP3} {
		want := 0.
		if protocol == exchange.HTTP3 {
			want = 3 // the lists of fields, which quic-go keeps for longer than the exchange
		}
		s := New(Options{Handler: assets(make([]byte, 1024))})
		l := adapter(s)
		l.streams.protocol = protocol
		w := sink{header: http.Header{}}
		r := &http.Request{Method: "GET", RequestURI: "/a?b", Host: "a.test", TLS: new(tls.ConnectionState), Header: http.Header{"Accept": {"*/*"}, "User-Agent": {"test"}}}
		got := testing.AllocsPerRun(1000, func() {
			clear(w.header)
			l.ServeHTTP(w, r)
		})
		if got > want {
			t.Errorf("%s: %.2f allocations for an exchange, want %.0f", protocol, got, want)
		}
	}
}

// perExchange is what the whole process allocates for an exchange over a connection.
func perExchange(ask func()) float64 {
	for range 2000 { // until pools and tables are full
		ask()
	}
	return testing.AllocsPerRun(2000, ask)
}

// What is left is the libraries' own, on both ends of the connection.
func TestAllocationsOverTLS(t *testing.T) {
	h := start(t, true, Limits{}, assets(make([]byte, 1024)))
	for name, c := range map[string]struct {
		ask  func()
		most float64
	}{
		"HTTP/1.1, one for each end by crypto/tls": {askerOfH1(t, h), 2.1},
		"HTTP/2, about 39 by x/net":                {askerOfH2(t, h), 46},
		"HTTP/3, with quic-go's client":            {askerOfH3(t, h), 235},
	} {
		if got := perExchange(c.ask); got > c.most {
			t.Errorf("%s: %.2f allocations for an exchange, want %.0f at most", name, got, c.most)
		}
	}
}
