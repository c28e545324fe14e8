package front

import (
	"fmt"
	"testing"

	"github.com/onehost/edge/edge/internal/exchange"
)

// Libraries keep fields for longer than an exchange: HPACK's table those that it hopes to send again.
func TestFieldsInLentMemoryArriveAsTheyWere(t *testing.T) {
	t.Parallel()
	for _, protocol := range []exchange.Protocol{exchange.HTTP11, exchange.HTTP2, exchange.HTTP3} {
		t.Run(protocol.String(), func(t *testing.T) {
			t.Parallel()
			n := 0
			h := start(t, true, Limits{}, func(x *exchange.Exchange) {
				n++
				for i := range 4 {
					x.Response.Fields.Add(x.Text(fmt.Appendf(nil, "X-%d-%d", i, n%7)), x.Text(fmt.Appendf(nil, "%d of %d", i, n/3)))
				}
				x.Response.Trailers.Add(x.Text([]byte("X-Last")), x.Text(fmt.Append(nil, n)))
				text("hello")(x)
			})
			for i := 1; i <= 60; i++ {
				a := h.ask(t, protocol, "GET", "/", nil, nil, nil)
				for k := range 4 {
					name, want := fmt.Sprintf("X-%d-%d", k, i%7), fmt.Sprintf("%d of %d", k, i/3)
					if got := a.Header.Get(name); got != want {
						t.Fatalf("answer %d: %s is %q, want %q", i, name, got, want)
					}
				}
			}
		})
	}
}
