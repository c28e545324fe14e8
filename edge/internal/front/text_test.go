package front

import (
	"fmt"
	"io"
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
					x.Response.Fields.Add(x.Text(fmt.Appendf(nil, "X-%d", i)), x.Text(fmt.Appendf(nil, "%d of %d, which is not short", i, n%30)))
				}
				x.Response.Trailers.Add(x.Text([]byte("X-Last")), x.Text(fmt.Append(nil, n)))
				text("hello")(x)
			})
			client := h.client(protocol)
			for i := 1; i <= 100; i++ {
				a, err := client.Get(h.url("/"))
				if err != nil {
					t.Fatalf("answer %d: %v", i, err)
				}
				io.Copy(io.Discard, a.Body)
				a.Body.Close()
				for k := range 4 {
					name, want := fmt.Sprintf("X-%d", k), fmt.Sprintf("%d of %d, which is not short", k, i%30)
					if got := a.Header.Get(name); got != want {
						t.Fatalf("answer %d: %s is %q, want %q", i, name, got, want)
					}
				}
			}
		})
	}
}
