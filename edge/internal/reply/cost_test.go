package reply_test

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/reply"
)

// counter is a stream that costs nothing and counts writes.
type counter struct {
	exchange.Stream
	writes int
}

func (c *counter) SendHead(*exchange.Response, bool) error { return nil }
func (c *counter) Write(p []byte) (int, error)             { c.writes++; return len(p), nil }

// usual are edge's own answers; none of them allocates.
var usual = map[string]exchange.Handler{
	"error":       failing(429, "rate_limited"),
	"maintenance": exchange.HandlerFunc(reply.Maintenance),
	"redirect":    exchange.HandlerFunc(func(x *exchange.Exchange) { reply.Redirect(x, "https://www.example.com/a/place?with=query", 308) }),
	"fixed":       reply.Fixed(200, "text/plain", "ok"),
	"no content":  reply.Fixed(204, "", ""),
}

// again answers one more request of a visitor who takes what accept says.
func again(x *exchange.Exchange, to *counter, accept string, h exchange.Handler) {
	to.writes = 0
	x.Reset(to)
	x.ID = "0123456789abcdef"
	x.Request.Fields.Add("Accept", accept)
	h.ServeExchange(x)
	_ = x.Finish()
}

func TestOwnAnswersAreOneWriteAndNoAllocation(t *testing.T) {
	x, to := &exchange.Exchange{}, &counter{}
	for name, h := range usual {
		for _, accept := range []string{browser, "*/*"} {
			if got := testing.AllocsPerRun(100, func() { again(x, to, accept, h) }); got > 0 && !raceEnabled {
				t.Errorf("%s for %s: %v allocations", name, accept, got)
			}
			if to.writes > 1 || x.Aborted() != nil {
				t.Errorf("%s for %s: %d writes, %v", name, accept, to.writes, x.Aborted())
			}
		}
	}
}

func BenchmarkOwn(b *testing.B) {
	for _, name := range slices.Sorted(maps.Keys(usual)) {
		for form, accept := range map[string]string{"page": browser, "problem": "*/*"} {
			b.Run(name+"/"+form, func(b *testing.B) {
				x, to := &exchange.Exchange{}, &counter{}
				b.ReportAllocs()
				for b.Loop() {
					again(x, to, accept, usual[name])
				}
			})
		}
	}
}

// keeper holds on to what it was given and takes none of it, as x/net/http2 may for a stream that was reset.
type keeper struct {
	counter
	kept []byte
}

func (k *keeper) Write(p []byte) (int, error) {
	k.kept = p
	return 0, exchange.ErrClientGone
}

func TestMemoryThatABrokenOffAnswerMayStillBeReadFromIsNotUsedAgain(t *testing.T) {
	for range 100 { // a pool may forget by chance
		x, k := &exchange.Exchange{}, &keeper{}
		x.Reset(k)
		x.ID = "secret"
		reply.Error(x, 502, "x")
		again(&exchange.Exchange{}, &counter{}, "*/*", failing(502, "x"))
		if !bytes.Contains(k.kept, []byte("secret")) {
			t.Fatal("another request's bytes")
		}
	}
}
