package front

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

func TestRestsGrowWithRefusals(t *testing.T) {
	var p patience
	var rests []string
	for range 11 {
		rests = append(rests, p.next(true).String())
	}
	if got := strings.Join(rests, " "); got != "0s 10ms 20ms 40ms 80ms 160ms 320ms 640ms 1s 1s 1s" {
		t.Error(got)
	}
	for range mostRests {
		if d := p.next(false); d != 0 {
			t.Errorf("who was served waits %v", d)
		}
	}
	if p.next(true) != 0 || p.next(false) != 0 || p.next(true) != 0 {
		t.Error("who is served as often as refused waits")
	}
}

func TestWhoIsRefusedAgainAndAgainIsReadLater(t *testing.T) {
	for _, protocol := range []exchange.Protocol{exchange.HTTP11, exchange.HTTP2, exchange.HTTP3} {
		came := make(chan time.Time, 4)
		h := start(t, true, Limits{}, func(x *exchange.Exchange) {
			came <- time.Now()
			x.Response.Status, x.Rest = http.StatusTooManyRequests, true
		})
		client := h.client(protocol)
		for range 4 {
			answer, err := client.Get(h.url("/"))
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
		}
		first := <-came
		<-came
		<-came
		if rested := (<-came).Sub(first); rested < 3*firstRest {
			t.Errorf("%v: the fourth came after %v", protocol, rested)
		}
	}
}

func TestADrainEndsWhoRests(t *testing.T) {
	h := start(t, false, Limits{}, func(x *exchange.Exchange) { x.Rest = true })
	v := h.visit()
	for range mostRests - 3 {
		v.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		v.expect("GET", http.StatusOK, "")
	}
	if err := h.server.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	v.expectEnd()
}
