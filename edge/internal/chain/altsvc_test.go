package chain

import (
	"testing"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

func TestAltSvc(t *testing.T) {
	const ours = `h3=":8443"; ma=86400`
	for _, tt := range []struct {
		name, ours, target string
		protocol           exchange.Protocol
		said, want         string // by the target; to the visitor
	}{
		{"h1 is told of h3", ours, "https://example.com/", exchange.HTTP11, "", ours},
		{"h2 is told of h3", ours, "https://example.com/", exchange.HTTP2, "", ours},
		{"who is refused as well", ours, "https://unknown.example/", exchange.HTTP2, "", ours},
		{"h3 knows it", ours, "https://example.com/", exchange.HTTP3, "", ""},
		{"plain http is not told", ours, "http://example.com/", exchange.HTTP11, "", ""},
		{"a target's own is replaced", ours, "https://example.com/", exchange.HTTP11, `h3=":3000"`, ours},
		{"also where none is needed", ours, "https://example.com/", exchange.HTTP3, `h3=":3000"`, ""},
		{"without h3 a target's goes through, as with ALB", "", "https://example.com/", exchange.HTTP11, `h2=":444"`, `h2=":444"`},
		{"without h3 there is none", "", "https://example.com/", exchange.HTTP11, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, oneHost(), func(x *exchange.Exchange) {
				if tt.said != "" {
					x.Response.Fields.Add("Alt-Svc", tt.said)
				}
			})
			h.marks.altSvc = tt.ours
			if r := h.ask(tt.target, exchangetest.Protocol(tt.protocol)); r.Fields.Get("Alt-Svc") != tt.want {
				t.Errorf("got %q, want %q", r.Fields.Get("Alt-Svc"), tt.want)
			}
		})
	}
}
