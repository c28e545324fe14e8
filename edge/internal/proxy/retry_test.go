package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
	"github.com/onehost/edge/edge/internal/target"
)

func TestWhatIsTriedAgain(t *testing.T) {
	const body, none = "hello", ""
	interim := func(t testing.TB) string { return says(t, "HTTP/1.1 103 Early Hints\r\n\r\n") }
	for _, tt := range []struct {
		name   string
		bad    func(testing.TB) string
		method string
		body   string
		again  bool
	}{
		{"nothing was sent", nobody, "POST", body, true},
		{"no answer to GET", closes, "GET", none, true},
		{"no answer to DELETE", closes, "DELETE", none, true},
		{"no answer to POST", closes, "POST", none, false},
		{"no answer to PATCH", closes, "PATCH", none, false},
		{"no answer to PUT, whose body is used up", closesAfterBody, "PUT", body, false},
		{"some answer", interim, "GET", none, false},
		{"junk", func(t testing.TB) string { return says(t, "junk\r\n\r\n") }, "GET", none, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			good := app(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
			h := to(t, tt.bad(t), good)
			// Targets take turns: one of two requests begins with the bad one.
			failed := 0
			for range 2 {
				body := exchangetest.Body(tt.body)
				if tt.body != "" { // sent again, it would be an empty one
					body = exchangetest.BodyFrom(strings.NewReader(tt.body), -1)
				}
				x, r := exchangetest.New(tt.method, "/", body)
				r.Serve(h)
				if x.Record.Tries < 1 || x.Record.Tries > 2 || x.Record.Tries == 2 && !tt.again {
					t.Errorf("%d tries", x.Record.Tries)
				}
				if r.Status != 200 {
					failed++
				} else if r.Body.String() != tt.body || x.Record.Target != good {
					t.Errorf("body %q from %s", &r.Body, x.Record.Target)
				}
			}
			if failed != 0 != !tt.again {
				t.Errorf("%d of 2 failed", failed)
			}
		})
	}
}

func TestAtMostThreeTargetsAreAsked(t *testing.T) {
	var asked atomic.Int32
	bad := func() string {
		return raw(t, func(_ int, _ net.Conn, r *bufio.Reader) {
			asked.Add(1)
			readHead(r)
		})
	}
	x, r := exchangetest.New("GET", "/")
	r.Serve(to(t, bad(), bad(), bad(), bad(), bad()))
	if r.Status != 502 || asked.Load() != 3 || x.Record.Tries != 3 {
		t.Errorf("status %d, asked %d, tries %d", r.Status, asked.Load(), x.Record.Tries)
	}
}

func TestForwardedFieldsAreAddedOnce(t *testing.T) {
	got := make(chan string, 1)
	good := app(t, func(_ http.ResponseWriter, r *http.Request) { got <- strings.Join(r.Header["X-Forwarded-For"], "|") })
	h := to(t, nobody(t), nobody(t), good)
	for range 3 {
		_, r := exchangetest.New("GET", "/")
		r.Serve(h)
		if g := <-got; g != "192.0.2.1" {
			t.Errorf("%q", g)
		}
	}
}

func TestPostIsNotSentTwiceOnAConnectionThatHasDied(t *testing.T) {
	var posts atomic.Int32
	url := raw(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for range 2 {
			if head := readHead(r); strings.HasPrefix(head, "POST") {
				posts.Add(1)
				return // without an answer
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	h := to(t, url)
	_, r := exchangetest.New("GET", "/")
	r.Serve(h)
	x, r := exchangetest.New("POST", "/", exchangetest.Body("hello"))
	r.Serve(h)
	if posts.Load() != 1 || r.Status != 502 || x.Record.ErrorReason != "target_connection_closed" {
		t.Errorf("%d posts, status %d, reason %q", posts.Load(), r.Status, x.Record.ErrorReason)
	}
}

// TestOnlyIdempotentMethodsAreSentTwice: whatever the visitor says of his request.
func TestOnlyIdempotentMethodsAreSentTwice(t *testing.T) {
	for _, tt := range []struct {
		method, field, body string
		times               int
	}{
		{"GET", "Idempotency-Key", "", 2},
		{"POST", "Idempotency-Key", "", 1},
		{"POST", "X-Idempotency-Key", "", 1},
		{"POST", "idempotency-key", "hello", 1},
		{"PATCH", "x-idempotency-key", "", 1},
	} {
		t.Run(tt.method+" "+tt.field+" "+tt.body, func(t *testing.T) {
			heads := make(chan string, 10)
			url := many(t, nil, func(c net.Conn) {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					head := readHead(r)
					if !strings.Contains(head, " /again ") {
						if head == "" {
							return
						}
						_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
						continue
					}
					heads <- head
					return // without an answer
				}
			})
			h := to(t, url)
			askWith(h, "GET", "/", "")
			x, r := exchangetest.New(tt.method, "/again", exchangetest.Field(tt.field, "k"), exchangetest.Body(tt.body))
			r.Serve(h)
			if len(heads) != tt.times || r.Status != 502 || x.Record.ErrorReason != "target_connection_closed" {
				t.Errorf("sent %d times, status %d, reason %q", len(heads), r.Status, x.Record.ErrorReason)
			}
			length := fmt.Sprintf("\r\ncontent-length: %d\r\n", len(tt.body))
			for range len(heads) {
				head := strings.ToLower(<-heads)
				if !strings.Contains(head, "\r\n"+strings.ToLower(tt.field)+": k\r\n") || tt.method != "GET" && !strings.Contains(head, length) {
					t.Errorf("%s", head)
				}
			}
		})
	}
}

func TestWeights(t *testing.T) {
	groups := target.NewGroups(target.Options{NewPool: NewPool})
	plan := groups.Plan(map[string]config.TargetGroup{"a": {}, "b": {}, "c": {}})
	defer plan.Abandon()
	p := New(Options{})
	h, err := p.Forward(plan.Group, map[string]int{"a": 900, "b": 100, "c": 0})
	if err != nil {
		t.Fatal(err)
	}
	drawn := map[string]int{}
	for range 10_000 {
		drawn[h.(*forward).draw(nil).Name()]++
	}
	if drawn["a"] < 8700 || drawn["a"] > 9300 || drawn["a"]+drawn["b"] != 10_000 {
		t.Errorf("%v", drawn)
	}
	if _, err := p.Forward(plan.Group, map[string]int{"unknown": 1}); err == nil {
		t.Error("an unknown group is accepted")
	}
	none, _ := p.Forward(plan.Group, map[string]int{"a": 0})
	x, r := exchangetest.New("GET", "/")
	r.Serve(none)
	if r.Status != 503 || x.Record.ErrorReason != "no_healthy_target" {
		t.Errorf("all weights 0: %d %q", r.Status, x.Record.ErrorReason)
	}
}

var _ exchange.Handler = (*forward)(nil)
