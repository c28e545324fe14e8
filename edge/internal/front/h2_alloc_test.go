//go:build !race

package front

import (
	"crypto/tls"
	"net/http"
	"testing"
)

// What this package adds to x/net's own allocations: the lists of Date and Content-Length, and the handler's body.
func TestH2Allocations(t *testing.T) {
	s := New(Options{Handler: text("hello")})
	l := adapter(s)
	w := sink{header: http.Header{}}
	r := &http.Request{Method: "GET", RequestURI: "/a?b", Host: "a.test", TLS: new(tls.ConnectionState), Header: http.Header{"Accept": {"*/*"}, "User-Agent": {"test"}}}
	got := testing.AllocsPerRun(1000, func() {
		clear(w.header)
		l.ServeHTTP(w, r)
	})
	if got > 3 {
		t.Errorf("%.2f allocations for an exchange, want 3", got)
	}
}
