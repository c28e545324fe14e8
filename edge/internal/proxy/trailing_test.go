package proxy

import (
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

// TestTrailersAreTakenWhileTheExchangeIsLent: net/http reads on its own goroutine, perhaps while the attempt ends.
func TestTrailersAreTakenWhileTheExchangeIsLent(t *testing.T) {
	w := newH2CWay(&dialer{}, "a")
	for range 500 {
		x, _ := exchangetest.New("POST", "/", exchangetest.BodyFrom(strings.NewReader("hello"), -1))
		x.Request.Trailers.Add("X-Sum", "7")
		var g guard
		a := new(attempt)
		if !a.begin(x, manner{}, &g) {
			t.Fatal("the target has ended")
		}
		r := w.request(a)
		var reader sync.WaitGroup
		reader.Go(func() {
			if _, err := io.ReadAll(r.Body); err == nil && r.Trailer.Get("X-Sum") != "7" {
				t.Errorf("trailers %v", r.Trailer)
			}
		})
		for { // until the body is being read
			if consumed, _ := a.body.state(); consumed {
				break
			}
		}
		a.end()
		x.Reset(nil) // for the next visitor
		reader.Wait()
		g.close()
	}
}
