package front

import (
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http/httpguts"

	"github.com/onehost/edge/edge/internal/exchange"
)

// asH1 is how a request would be written to a target by HTTP/1.1, byte by byte.
func asH1(r *exchange.Request) string {
	var b strings.Builder
	b.WriteString(r.Method + " " + r.RawPath)
	if r.HasQuery {
		b.WriteString("?" + r.RawQuery)
	}
	b.WriteString(" HTTP/1.1\r\nHost: " + r.Host + "\r\n")
	for _, f := range r.Fields {
		b.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
	return b.String() + "\r\n"
}

// What the h2 and h3 fronts let through must, written by HTTP/1.1, be one request that means the same: the h1 front is the judge.
func FuzzStreamHead(f *testing.F) {
	f.Add("GET", "/a?b", "a.test", "accept", "*/*", "x-a", "1")
	f.Add("GET / HTTP/1.1", "/", "a.test:1", "a", " b", "a", "b\t")
	f.Add("POST", "/ HTTP/1.1\r\nA: b", "a.test", "transfer_encoding", "chunked", "content-length", "3")
	f.Add("OPTIONS", "*", "[::1]", "expect", "x", "te", "trailers")
	f.Add("POST", "/", "a.test", "expect", "100-continue", "content-length", "3")
	f.Fuzz(func(t *testing.T, method, path, host, name1, value1, name2, value2 string) {
		from := &http.Request{Method: method, RequestURI: path, Host: host, Header: http.Header{}, TLS: &tls.ConnectionState{}}
		for _, field := range [][2]string{{name1, value1}, {name2, value2}} {
			name := strings.ToLower(field[0])
			if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(field[1]) || slices.Contains([]string{"host", "connection", "transfer-encoding", "upgrade", "trailer"}, name) {
				return // x/net lets nothing like that through
			}
			from.Header.Add(name, field[1])
		}
		if path == "" || path[0] != '/' && path != "*" {
			return // nor that
		}
		for _, protocol := range []exchange.Protocol{exchange.HTTP2, exchange.HTTP3} {
			compareHead(t, protocol, from)
		}
	})
}

func compareHead(t *testing.T, protocol exchange.Protocol, from *http.Request) {
	t.Helper()
	limits := Limits{}.withDefaults()
	var x, again exchange.Exchange
	x.Reset(nil)
	again.Reset(nil)
	if why := (&streamHead{request: &x.Request, from: from, limits: &limits, protocol: protocol}).parse(); why != accepted {
		return
	}
	again.Scheme = "https"
	raw := asH1(&x.Request)
	if why := parseWhole(raw, &again); why != accepted {
		t.Fatalf("%q is refused by h1: %v", raw, why)
	}
	again.Request.Protocol = protocol
	compareRequest(t, &again.Request, &x.Request)
	if !slices.Equal(again.Fields, x.Fields) {
		t.Errorf("fields are %v, want %v", again.Fields, x.Fields)
	}
}
