package chain

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
	"github.com/onehost/edge/edge/internal/reply"
)

func hostWith(limits config.Limits, rules ...config.Rule) map[string]config.Host {
	for i := range rules {
		rules[i].Forward = theGroup
	}
	return map[string]config.Host{"example.com": {Limits: limits, Rules: rules}}
}

func perSecond(n, burst int) config.Limits {
	return config.Limits{Rate: config.Rate{N: n, Per: time.Second}, Burst: burst}
}

// statuses asks n times and returns what was answered.
func (h *house) statuses(n int, target string, options ...exchangetest.Option) string {
	var all []string
	for range n {
		all = append(all, fmt.Sprint(h.ask(target, options...).Status))
	}
	return strings.Join(all, " ")
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, hostWith(perSecond(2, 3)), ok)
		if got := h.statuses(4, "/", from("192.0.2.1")); got != "200 200 200 429" {
			t.Errorf("a burst: %s", got)
		}
		if got := h.statuses(1, "/", from("192.0.2.2")); got != "200" {
			t.Errorf("another client: %s", got)
		}
		time.Sleep(500 * time.Millisecond) // one token
		if got := h.statuses(2, "/", from("192.0.2.1")); got != "200 429" {
			t.Errorf("half a second after: %s", got)
		}
		time.Sleep(time.Hour)
		if got := h.statuses(4, "/", from("192.0.2.1")); got != "200 200 200 429" {
			t.Errorf("a full bucket holds the burst and no more: %s", got)
		}
		if got := gather(t, h.metrics)[`edge_limited_total{host="example.com",limit="rate"}`]; got != 3 {
			t.Errorf("%v counted", got)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, hostWith(config.Limits{Rate: config.Rate{N: 40, Per: time.Minute}, Burst: 1}), ok) // a token in 1.5 s
		h.ask("/")
		r := h.ask("/")
		if r.Status != 429 || r.Fields.Get("Retry-After") != "2" || !r.Fields.Has("X-Request-Id") {
			t.Fatalf("%d %v", r.Status, r.Fields)
		}
		time.Sleep(2 * time.Second)
		if r := h.ask("/"); r.Status != 200 {
			t.Errorf("who waited as long as told gets %d", r.Status)
		}
	})
}

func TestBurstDefault(t *testing.T) {
	for _, tt := range []struct {
		rate config.Rate
		want int
	}{{config.Rate{N: 50, Per: time.Second}, 50}, {config.Rate{N: 300, Per: time.Minute}, 5}, {config.Rate{N: 10, Per: time.Hour}, 1}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRateLimiter(config.Limits{Rate: tt.rate})
			n := 0
			for r.take(netip.Addr{}, time.Now()) == 0 {
				n++
			}
			if n != tt.want {
				t.Errorf("%v: %d at once, want %d", tt.rate, n, tt.want)
			}
		})
	}
}

func TestWhoSharesABucket(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"::1", "0.0.0.0", false},
	} {
		if same := rateKey(netip.MustParseAddr(tt.a)) == rateKey(netip.MustParseAddr(tt.b)); same != tt.same {
			t.Errorf("%s and %s: %v", tt.a, tt.b, same)
		}
	}
}

func TestAFloodOfAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRateLimiter(perSecond(1, 20))
		greedy := netip.MustParseAddr("203.0.113.1")
		for r.take(greedy, time.Now()) == 0 {
		}
		for i := range 4 * rateShards * shardBound {
			if r.take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), time.Now()) != 0 {
				t.Fatal("a new client is refused")
			}
		}
		n := 0
		for i := range r.shards {
			n += len(r.shards[i].full)
		}
		if n > rateShards*shardBound {
			t.Errorf("%d clients are remembered", n)
		}
		if r.take(greedy, time.Now()) == 0 {
			t.Error("the flood made a greedy client be forgotten")
		}
	})
}

func TestConcurrency(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	h := newHouse(t, hostWith(config.Limits{Concurrency: 2}), func(*exchange.Exchange) { entered <- struct{}{}; <-leave })
	var answered sync.WaitGroup
	for range 2 {
		answered.Go(func() { h.ask("/") })
		<-entered
	}
	r := h.ask("/")
	if r.Status != 503 || r.Fields.Get("Retry-After") != "1" {
		t.Errorf("%d %v", r.Status, r.Fields)
	}
	if got := gather(t, h.metrics)[`edge_limited_total{host="example.com",limit="concurrency"}`]; got != 1 {
		t.Errorf("%v counted", got)
	}
	close(leave)
	answered.Wait()
	go func() { <-entered }()
	if r := h.ask("/"); r.Status != 200 {
		t.Errorf("a place that is free again: %d", r.Status)
	}
}

func TestARulesLimitsHoldAsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, hostWith(perSecond(1, 4), config.Rule{Path: []string{"/1"}, Limits: perSecond(1, 2)}), ok)
		if got := h.statuses(3, "/1") + " " + h.statuses(2, "/"); got != "200 200 429 200 429" {
			t.Error(got) // what the rule refused took a token of the host's
		}
	})
}

func TestBodyLimit(t *testing.T) {
	for _, tt := range []struct {
		name       string
		host, rule config.Size
		length     int64
		status     int
	}{
		{"none", 0, 0, 1000, 200},
		{"fits", 10, 0, 10, 200},
		{"the host's", 10, 20, 11, 413},
		{"the rule's", 20, 10, 11, 413},
		{"undeclared, fits", 10, 0, -10, 200},
		{"undeclared, too large", 10, 0, -11, 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, hostWith(config.Limits{Body: tt.host}, config.Rule{Path: []string{"/1"}, Limits: config.Limits{Body: tt.rule}}),
				func(x *exchange.Exchange) {
					if _, err := io.Copy(io.Discard, x.Request.Body); err != nil {
						reply.Error(x, 413, "body_too_large")
					}
				})
			n, declared := max(tt.length, -tt.length), max(tt.length, -1)
			r := h.askAs("POST", "/1", exchangetest.BodyFrom(strings.NewReader(strings.Repeat("x", int(n))), declared))
			if r.Status != tt.status {
				t.Error(r.Status)
			}
			got := gather(t, h.metrics)
			if (got[`edge_limited_total{host="example.com",limit="body"}`] == 1) != (tt.status == 413) {
				t.Error("not counted right")
			}
			if tt.status == 200 && got[`edge_request_bytes_total{host="example.com"}`] != float64(n) {
				t.Error("the body is not counted")
			}
		})
	}
}

// TestRefusalsHaveTheRulesFields: what a host and its rule put on all their answers is on those that the limits make, too.
func TestRefusalsHaveTheRulesFields(t *testing.T) {
	rule := func(l config.Limits) config.Rule {
		return config.Rule{
			Path: []string{"/1"}, Limits: l,
			CORS:    &config.CORS{Origins: []string{"https://app.example"}},
			Headers: &config.HeaderChanges{Response: config.FieldChanges{Set: map[string]string{"X-By": "edge"}}},
		}
	}
	for _, tt := range []struct {
		name   string
		limits config.Limits
		status int
	}{
		{"rate", config.Limits{Rate: config.Rate{N: 1, Per: time.Hour}, Burst: 1}, 429},
		{"concurrency", config.Limits{Concurrency: 1}, 503},
		{"body", config.Limits{Body: 4}, 413},
	} {
		for _, place := range []string{"host", "rule"} {
			t.Run(tt.name+" of the "+place, func(t *testing.T) {
				hosts := hostWith(config.Limits{}, rule(tt.limits))
				if place == "host" {
					hosts = hostWith(tt.limits, rule(config.Limits{}))
				}
				host := hosts["example.com"]
				host.HSTS = time.Hour
				hosts["example.com"] = host
				var h *house
				var refused *exchangetest.Recorder
				ask := func() {
					r := h.askAs("POST", "/1", exchangetest.Field("Origin", "https://app.example"), exchangetest.Body("12345"))
					if r.Status != 200 {
						refused = r
					}
				}
				h = newHouse(t, hosts, func(*exchange.Exchange) { ask() }) // again, while the first is being answered
				if ask(); refused.Status != tt.status {
					t.Fatalf("%d, want %d", refused.Status, tt.status)
				}
				for name, want := range map[string]string{
					"Strict-Transport-Security": "max-age=3600", "Access-Control-Allow-Origin": "https://app.example", "X-By": "edge",
				} {
					if got := refused.Fields.Get(name); got != want {
						t.Errorf("%s: %q, want %q", name, got, want)
					}
				}
			})
		}
	}
}

func TestIdle(t *testing.T) {
	for _, tt := range []struct{ host, rule, want time.Duration }{
		{0, 0, 0}, {time.Minute, 0, time.Minute}, {time.Minute, time.Second, time.Second}, {0, time.Hour, time.Hour},
	} {
		h := newHouse(t, hostWith(config.Limits{Idle: tt.host}, config.Rule{Path: []string{"/1"}, Limits: config.Limits{Idle: tt.rule}}), ok)
		if r := h.ask("/1"); r.Idle != tt.want {
			t.Errorf("%v and %v: %v", tt.host, tt.rule, r.Idle)
		}
	}
}

func TestLimitsOverASwap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strict, other := perSecond(1, 2), perSecond(1, 3)
		rule := func(path string, l config.Limits) config.Rule { return config.Rule{Path: []string{path}, Limits: l} }
		h := newHouse(t, hostWith(other, rule("/1", strict)), ok)
		h.statuses(3, "/1") // empties the host's bucket and the rule's

		h.swap(hostWith(other, rule("/new", config.Limits{}), rule("/1", strict)))
		if got := h.statuses(1, "/new"); got != "429" {
			t.Errorf("the host's bucket was filled: %s", got)
		}
		time.Sleep(time.Second)
		h.swap(hostWith(perSecond(1, 9), rule("/new", config.Limits{}), rule("/1", strict)))
		if got := h.statuses(2, "/1"); got != "200 429" {
			t.Errorf("the rule's bucket was filled although only its place changed: %s", got)
		}
		if got := h.statuses(9, "/"); strings.Count(got, "200") != 7 {
			t.Errorf("a new limit of the host does not begin with a full bucket: %s", got)
		}
	})
}

func TestInFlightOverASwap(t *testing.T) {
	one, body, two := config.Limits{Concurrency: 1}, config.Limits{Concurrency: 1, Body: 5}, config.Limits{Concurrency: 2}
	for name, hosts := range map[string]func(config.Limits) map[string]config.Host{
		"host": func(l config.Limits) map[string]config.Host { return hostWith(l) },
		"rule": func(l config.Limits) map[string]config.Host {
			return hostWith(config.Limits{}, config.Rule{Path: []string{"/1"}, Limits: l})
		},
	} {
		t.Run(name, func(t *testing.T) {
			entered, leave, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
			h := newHouse(t, hosts(one), func(*exchange.Exchange) { close(entered); <-leave })
			go func() { h.ask("/1"); close(done) }()
			<-entered
			h.answer = ok
			h.swap(hosts(body))
			if r := h.ask("/1"); r.Status != 503 {
				t.Errorf("who is in flight no longer counts: %d", r.Status)
			}
			h.swap(hosts(two))
			if r := h.ask("/1"); r.Status != 200 {
				t.Errorf("a raised limit: %d", r.Status)
			}
			close(leave)
			<-done
			for _, l := range append(h.current.Load().hosts[0].rules, h.current.Load().hosts[0].limiter) {
				if l != nil && l.places.inFlight.Load() != 0 {
					t.Errorf("%d in flight at the end", l.places.inFlight.Load())
				}
			}
		})
	}
}

func TestSwapsUnderLoad(t *testing.T) {
	limits := func(i int) config.Limits {
		return config.Limits{Concurrency: 4 + i%2, Rate: config.Rate{N: 1e6 + i%3, Per: time.Second}}
	}
	hosts := func(i int) map[string]config.Host {
		return hostWith(limits(i), config.Rule{Path: []string{"/1"}, Limits: limits(i + 1)})
	}
	h := newHouse(t, hosts(0), ok)
	stop := make(chan struct{})
	var visitors sync.WaitGroup
	for range 4 {
		visitors.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if r := h.ask("/1"); r.Status != 200 {
					t.Errorf("a visitor got %d", r.Status)
				}
			}
		})
	}
	for i := range 200 {
		h.swap(hosts(i))
		gather(t, h.metrics)
	}
	close(stop)
	visitors.Wait()
	if n := h.current.Load().hosts[0].limiter.places.inFlight.Load(); n != 0 {
		t.Errorf("%d in flight at the end", n)
	}
}

func TestWhoCameBeforeTheLimitWasMadeIsNotRefused(t *testing.T) {
	r := newRateLimiter(perSecond(1, 1))
	if wait := r.take(netip.Addr{}, r.epoch.Add(-time.Millisecond)); wait != 0 {
		t.Error(wait)
	}
}

func BenchmarkRate(b *testing.B) {
	r := newRateLimiter(config.Limits{Rate: config.Rate{N: 1_000_000, Per: time.Second}})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.take(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), time.Now())
	}
}

func BenchmarkRateUnderFlood(b *testing.B) {
	r := newRateLimiter(perSecond(1, 20))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.take(netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}), time.Now())
	}
}

func TestACrowdLeavesPlacesToOthers(t *testing.T) {
	l := newLimiter(config.Limits{Concurrency: 8}, nil)
	at := time.Now()
	enter := func(client string, most int) (n int) {
		for n < most && l.enter(netip.MustParseAddr(client), at) {
			n++
		}
		return n
	}
	if n := enter("192.0.2.1", 9); n != 8 {
		t.Errorf("who is alone gets %d of 8", n)
	}
	for range 8 {
		l.leave(netip.MustParseAddr("192.0.2.1"))
	}
	if n := enter("198.51.100.1", 1); n != 1 {
		t.Error("a second client is refused")
	}
	l.leave(netip.MustParseAddr("198.51.100.1"))
	if n := enter("192.0.2.1", 9); n != 4 {
		t.Errorf("beside another it gets %d, want 4", n)
	}
	if n := enter("198.51.100.1", 9); n != 2 {
		t.Errorf("the second gets %d of the 4 that are left, want 2", n)
	}
	if n := enter("2001:db8::1", 1) + enter("2001:db8::2", 1); n != 1 {
		t.Errorf("one subscriber gets %d of the last 2, want 1", n)
	}
	if n := enter("127.0.0.1", 9); n != 1 {
		t.Errorf("the programs of this host get %d, want all that is left", n)
	}
	at = at.Add(wanting / 2)
	l.leave(netip.MustParseAddr("127.0.0.1"))
	if n := enter("2001:db8::1", 9); n != 0 {
		t.Errorf("others asked just now, and one more is let in: %d", n)
	}
	at = at.Add(wanting)
	if n := enter("2001:db8::1", 9); n != 1 {
		t.Errorf("nobody else has asked for long: %d", n)
	}
}

// TestOneClientsFloodIsRefused has one client fill the host and another come after it, both of whom hold what they get.
func TestOneClientsFloodIsRefused(t *testing.T) {
	entered, leave := make(chan struct{}, 100), make(chan struct{})
	h := newHouse(t, hostWith(config.Limits{Concurrency: 10}), func(x *exchange.Exchange) {
		if x.RawPath == "/hold" {
			entered <- struct{}{}
			<-leave
		}
	})
	h.ask("/", from("198.51.100.1"))
	var flood sync.WaitGroup
	refused := make(chan int, 100)
	for range 50 {
		flood.Go(func() {
			if r := h.ask("/hold", from("192.0.2.1")); r.Status != 200 {
				refused <- r.Status
			}
		})
	}
	for range 45 {
		if status := <-refused; status != 503 {
			t.Errorf("refused by %d", status)
		}
	}
	for range 20 {
		if r := h.ask("/", from("198.51.100.1")); r.Status != 200 {
			t.Errorf("another client: %d", r.Status)
		}
	}
	close(leave)
	flood.Wait()
	if n := len(entered); n != 5 {
		t.Errorf("the flood got %d of 10", n)
	}
	p := h.current.Load().hosts[0].limiter.places
	for i := range p.clients {
		if n := p.clients[i].Load(); n != 0 || p.inFlight.Load() != 0 {
			t.Errorf("%d places are somebody's at the end, %d in flight", n, p.inFlight.Load())
		}
	}
}

func TestWhoIsToldToComeLaterMayRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, hostWith(perSecond(1, 1)), ok)
		rests := func(options ...exchangetest.Option) string {
			var all []string
			for range 2 {
				x, r := exchangetest.New("GET", "/", options...)
				h.send(x, r)
				all = append(all, fmt.Sprint(r.Status, x.Rest))
			}
			return strings.Join(all, " ")
		}
		if got := rests(from("192.0.2.1")); got != "200 false 429 true" {
			t.Errorf("a client: %s", got)
		}
		proxied := func(x *exchange.Exchange) { x.Fields.Add("X-Forwarded-For", "192.0.2.9") }
		if got := rests(from("10.0.0.1"), proxied); got != "200 false 429 false" {
			t.Errorf("a trusted proxy, whose connection is others', too: %s", got)
		}
	})
	h := newHouse(t, hostWith(config.Limits{}), func(x *exchange.Exchange) {
		x.Response.Status, x.Record.Target = 429, "http://127.0.0.1:1"
		x.Response.Fields.Set("Retry-After", "1")
	})
	x, r := exchangetest.New("GET", "/")
	if h.send(x, r); x.Rest {
		t.Error("what a target says is between it and the client")
	}
}
