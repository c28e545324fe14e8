package chain

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
	"github.com/onehost/edge/edge/internal/front"
	"github.com/onehost/edge/edge/internal/rules"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// actions gives every rule the same handler.
type actions struct{ exchange.Handler }

func (a actions) Site(string) (exchange.Handler, error)            { return a, nil }
func (a actions) Forward(map[string]int) (exchange.Handler, error) { return a, nil }
func (a actions) Forms() (exchange.Handler, error)                 { return a, nil }
func (a actions) API() (exchange.Handler, error)                   { return a, nil }
func (a actions) Webhooks() (exchange.Handler, error)              { return a, nil }
func (a actions) Function(string, *rules.Route) (exchange.Handler, error) {
	return a, nil
}
func (a actions) Draining() bool { return false }

var _ rules.Actions = actions{}

// A house is a chain whose rules all end in one handler, and what it writes.
type house struct {
	*Chain
	t      testing.TB
	answer exchange.HandlerFunc
	log    bytes.Buffer
}

// covers is what a cert.Manager says whose both.example has a certificate for all, and whose mutual.example asks for visitors'.
func covers(c *tls.ConnectionState, hostname string) bool {
	switch {
	case hostname == "mutual.example":
		return c != nil && len(c.VerifiedChains) > 0
	case c == nil:
		return true
	default:
		return c.ServerName != "" && strings.EqualFold(c.ServerName, hostname) || c.ServerName == "both.example" || hostname == "192.0.2.2"
	}
}

var theGroup = map[string]int{"app": 1}

func newHouse(t testing.TB, hosts map[string]config.Host, answer exchange.HandlerFunc) *house {
	access := NewAccessLog(nil, slog.Default())
	h := &house{t: t, answer: answer}
	h.Chain = New(Options{
		Covers:         covers,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
		PublicPort:     8443,
		Access:         access,
		Metrics:        NewMetrics(access),
		Log:            slog.New(slog.NewTextHandler(&h.log, nil)),
	})
	h.swap(hosts)
	return h
}

func (h *house) swap(hosts map[string]config.Host) {
	h.t.Helper()
	for name, host := range hosts {
		if host.Default == nil {
			host.Default = &config.Rule{Forward: theGroup}
		}
		hosts[name] = host
	}
	table, err := rules.Build(&config.Config{Hosts: hosts, TargetGroups: map[string]config.TargetGroup{"app": {}}},
		actions{exchange.HandlerFunc(func(x *exchange.Exchange) { h.answer(x) })})
	if err != nil {
		h.t.Fatal(err)
	}
	h.Swap(table)
}

func oneHost() map[string]config.Host { return map[string]config.Host{"example.com": {}} }

// ask sends a GET of target through the chain. https is on TLS with the host's name as SNI.
func (h *house) ask(target string, options ...exchangetest.Option) *exchangetest.Recorder {
	return h.askAs(http.MethodGet, target, options...)
}

func (h *house) askAs(method, target string, options ...exchangetest.Option) *exchangetest.Recorder {
	x, r := exchangetest.New(method, target, options...)
	return h.send(x, r)
}

// send sends x as a front would, which leaves the path to the chain.
func (h *house) send(x *exchange.Exchange, r *exchangetest.Recorder) *exchangetest.Recorder {
	if x.Scheme == "https" && x.TLS == nil {
		x.TLS = &tls.ConnectionState{ServerName: x.Hostname}
	}
	x.Path = ""
	r.Serve(h.Chain)
	return r
}

func from(addr string) exchangetest.Option {
	return func(x *exchange.Exchange) { x.Peer = netip.AddrPortFrom(netip.MustParseAddr(addr), 5000) }
}

func sni(name string) exchangetest.Option {
	return func(x *exchange.Exchange) { x.TLS = &tls.ConnectionState{ServerName: name} }
}

func rawPath(p string) exchangetest.Option {
	return func(x *exchange.Exchange) { x.RawPath = p }
}

func ok(*exchange.Exchange) {}

const proxy, stranger = "10.1.2.3", "203.0.113.9"

func TestRequestID(t *testing.T) {
	for _, tt := range []struct {
		name, peer, sent string
		kept             bool
	}{
		{"none from a stranger", stranger, "", false},
		{"a stranger's is not believed", stranger, "abc", false},
		{"a trusted proxy's is kept", proxy, "req-1/ä"[:6], true},
		{"an IPv4 proxy on an IPv6 socket is the same", "::ffff:10.1.2.3", "abc", true},
		{"a trusted proxy's with a space is not", proxy, "a b", false},
		{"a trusted proxy's that is too long is not", proxy, strings.Repeat("a", 129), false},
		{"a trusted proxy's empty one is not", proxy, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var seen string
			h := newHouse(t, oneHost(), func(x *exchange.Exchange) {
				seen = x.ID
				if x.Fields.Has("X-Request-Id") {
					t.Error("the field goes on beside Exchange.ID")
				}
				x.Response.Fields.Add("x-request-id", "the target's")
			})
			r := h.ask("/", from(tt.peer), exchangetest.Field("X-Request-Id", tt.sent))
			if (seen == tt.sent) != tt.kept || !tt.kept && len(seen) != 26 {
				t.Errorf("id %q for %q", seen, tt.sent)
			}
			if got := r.Fields.Get("X-Request-Id"); got != seen || strings.Count(fieldText(r.Fields), "equest-") != 1 {
				t.Errorf("answer says %q, id is %q: %v", got, seen, r.Fields)
			}
		})
	}
}

func TestIDsAreUnique(t *testing.T) {
	seen := make(map[[26]byte]bool)
	for range 10_000 {
		id := newID()
		if seen[id] || !validID(string(id[:])) {
			t.Fatal(string(id[:]))
		}
		seen[id] = true
	}
}

func TestHosts(t *testing.T) {
	hosts := func() map[string]config.Host {
		return map[string]config.Host{
			"example.com": {}, "other.example": {}, "both.example": {}, "192.0.2.2": {}, "2001:db8::1": {},
			"plain.example": {TLS: config.HostTLS{Off: true}},
		}
	}
	for _, tt := range []struct {
		name, target string
		options      []exchangetest.Option
		status       int
		location     string
	}{
		{"https", "https://example.com/", nil, 200, ""},
		{"https, SNI in other letters", "https://example.com/", []exchangetest.Option{sni("Example.COM")}, 200, ""},
		{"another host's connection", "https://other.example/", []exchangetest.Option{sni("example.com")}, 421, ""},
		{"another host's connection that covers it", "https://other.example/", []exchangetest.Option{sni("both.example")}, 200, ""},
		{"no SNI, a name", "https://example.com/", []exchangetest.Option{sni("")}, 421, ""},
		{"no SNI, the address", "https://192.0.2.2/", []exchangetest.Option{sni("")}, 200, ""},
		{"unknown host on another's connection", "https://unknown.example/", []exchangetest.Option{sni("both.example")}, 421, ""},
		{"unknown host on its own connection", "https://unknown.example/", nil, 404, ""},
		{"unknown host on http", "http://unknown.example/", nil, 404, ""},
		{"plain host on http", "http://plain.example/", nil, 200, ""},
		{"plain host on another's connection", "https://plain.example/", []exchangetest.Option{sni("example.com")}, 421, ""},
		{"http", "http://example.com/a%2fb?x=%31&", nil, 301, "https://example.com:8443/a%2fb?x=%31&"},
		{"http with a port and capitals", "http://EXAMPLE.com.:80", nil, 301, "https://example.com:8443/"},
		{"http with an empty query", "http://example.com/?", nil, 301, "https://example.com:8443/?"},
		{"http with two slashes", "http://example.com//evil.example/", nil, 301, "https://example.com:8443//evil.example/"},
		{"http of an IPv6 address", "http://[2001:db8::1]/", nil, 301, "https://[2001:db8::1]:8443/"},
		{"a trusted proxy's https", "http://example.com/", []exchangetest.Option{from(proxy), exchangetest.Field("x-forwarded-proto", "HTTPS")}, 200, ""},
		{"a trusted proxy's http", "http://example.com/", []exchangetest.Option{from(proxy), exchangetest.Field("x-forwarded-proto", "https, http")}, 301, "https://example.com:8443/"},
		{"a trusted proxy's nonsense", "http://example.com/", []exchangetest.Option{from(proxy), exchangetest.Field("x-forwarded-proto", "wss")}, 301, "https://example.com:8443/"},
		{"a stranger's https", "http://example.com/", []exchangetest.Option{from(stranger), exchangetest.Field("x-forwarded-proto", "https")}, 301, "https://example.com:8443/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newHouse(t, hosts(), ok).ask(tt.target, tt.options...)
			if r.Status != tt.status || r.Fields.Get("Location") != tt.location {
				t.Errorf("%d %q, want %d %q", r.Status, r.Fields.Get("Location"), tt.status, tt.location)
			}
			if !r.Fields.Has("X-Request-Id") {
				t.Error("no X-Request-Id")
			}
		})
	}
}

func TestNoHostAtAll(t *testing.T) {
	for _, tt := range []struct {
		name   string
		off    bool
		tls    *tls.ConnectionState
		status int
	}{
		{"http", false, nil, 400},
		{"http of a plain host", true, nil, 200},
		{"https without SNI", false, &tls.ConnectionState{}, 421},
	} {
		h := newHouse(t, map[string]config.Host{"*": {TLS: config.HostTLS{Off: tt.off}}}, ok)
		x, r := exchangetest.New("GET", "http://unknown.example/", exchangetest.Protocol(exchange.HTTP10))
		x.Host, x.Hostname, x.TLS = "", "", tt.tls
		if h.send(x, r); r.Status != tt.status {
			t.Errorf("%s: %d, want %d", tt.name, r.Status, tt.status)
		}
	}
}

func TestRedirectKeepsTheMethod(t *testing.T) {
	h := newHouse(t, oneHost(), ok)
	for method, status := range map[string]int{"GET": 301, "HEAD": 301, "POST": 308, "PUT": 308, "OPTIONS": 308} {
		if r := h.askAs(method, "http://example.com/x"); r.Status != status {
			t.Errorf("%s: %d", method, r.Status)
		}
	}
	if r := h.askAs("OPTIONS", "http://example.com/", rawPath("*")); r.Fields.Get("Location") != "https://example.com:8443/" {
		t.Errorf("OPTIONS *: %v", r.Fields)
	}
	h.port = ""
	if r := h.ask("http://example.com/x"); r.Fields.Get("Location") != "https://example.com/x" {
		t.Errorf("port 443: %v", r.Fields)
	}
}

func TestHealthIsAnsweredWhateverElse(t *testing.T) {
	h := newHouse(t, map[string]config.Host{"example.com": {Health: "/up", Limits: config.Limits{Rate: config.Rate{N: 1, Per: time.Hour}}}}, ok)
	for range 3 {
		for _, scheme := range []string{"http", "https"} {
			if r := h.ask(scheme + "://example.com/up"); r.Status != 200 {
				t.Errorf("by %s: %d", scheme, r.Status)
			}
		}
	}
}

func TestRefusedRequests(t *testing.T) {
	h := newHouse(t, oneHost(), func(*exchange.Exchange) { t.Error("went on") })
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"TRACE", "/", 405}, {"CONNECT", "/", 405}, {"GET", "/a%00", 400}, {"GET", "/a%2f..%2fb", 400}, {"GET", "/%zz", 400},
	} {
		x, r := exchangetest.New(tt.method, "/")
		x.RawPath = tt.path
		h.send(x, r)
		if r.Status != tt.status || !r.Fields.Has("X-Request-Id") || r.Fields.Has("Allow") != (tt.status == 405) {
			t.Errorf("%s %s: %d %v", tt.method, tt.path, r.Status, r.Fields)
		}
	}
}

func TestWithoutATable(t *testing.T) {
	access := NewAccessLog(nil, slog.Default())
	c := New(Options{Access: access, Metrics: NewMetrics(access), Log: slog.Default()})
	_, r := exchangetest.New("GET", "http://example.com/")
	if r.Serve(c); r.Status != 404 {
		t.Error(r.Status)
	}
}

func TestWhatTheRuleSees(t *testing.T) {
	h := newHouse(t, oneHost(), func(x *exchange.Exchange) {
		if x.Path != "/a/b" || x.RawPath != "/%61/./b" || x.Record.Host != "example.com" || x.Record.Rule != "default" {
			t.Errorf("%q %q %+v", x.Path, x.RawPath, x.Record)
		}
		if x.Client.String() != "198.51.100.7" || x.Scheme != "http" {
			t.Errorf("client %v by %s", x.Client, x.Scheme)
		}
		if fieldText(x.Fields) != "X-Forwarded-For: 6.6.6.6, 198.51.100.7" {
			t.Errorf("fields %v", x.Fields)
		}
	})
	r := h.ask("/", rawPath("/%61/./b"), from(proxy), exchangetest.Field("X-Forwarded-For", "6.6.6.6, 198.51.100.7"),
		exchangetest.Field("X-Forwarded-Proto", "http"))
	if r.Status != 200 {
		t.Error(r.Status)
	}
}

func TestOnlyWebSocketUpgrades(t *testing.T) {
	for sent, want := range map[string]string{"websocket": "websocket", "h2c": "", "tls/1.2": "", "": ""} {
		h := newHouse(t, oneHost(), func(x *exchange.Exchange) {
			if x.Request.Upgrade != want {
				t.Errorf("%q became %q", sent, x.Request.Upgrade)
			}
		})
		h.ask("/", exchangetest.Upgrade(sent))
	}
}

func TestPanics(t *testing.T) {
	begin := func(x *exchange.Exchange) {
		x.Response.Fields.Add("Set-Cookie", "secret")
		x.Response.Length = 100
	}
	for _, tt := range []struct {
		name    string
		answer  exchange.HandlerFunc
		status  int
		aborted bool
		logged  int
	}{
		{"before the head", func(x *exchange.Exchange) { begin(x); panic("oh") }, 500, false, 1},
		{"after the head", func(x *exchange.Exchange) { begin(x); _, _ = x.Write([]byte("x")); panic("oh") }, 200, true, 1},
		{"in a hook", func(x *exchange.Exchange) { x.BeforeHead(badHook{}) }, 0, true, 1},
		{"on purpose", func(x *exchange.Exchange) { begin(x); panic(http.ErrAbortHandler) }, 0, true, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, map[string]config.Host{"example.com": {Limits: config.Limits{Concurrency: 1}}}, tt.answer)
			for range 2 { // the second shows that the first has left
				h.log.Reset()
				r := h.ask("/")
				if r.Status != tt.status || (r.Aborted != nil) != tt.aborted {
					t.Errorf("%d, aborted: %v", r.Status, r.Aborted)
				}
				if tt.status == 500 && (r.Fields.Has("Set-Cookie") || !r.Fields.Has("X-Request-Id") || strings.Contains(r.Body.String(), "oh")) {
					t.Errorf("%v %s", r.Fields, r.Body.String())
				}
				if strings.Count(h.log.String(), "chain_test.go") < tt.logged || strings.Count(h.log.String(), "level=ERROR") != tt.logged {
					t.Errorf("logged: %s", h.log.String())
				}
			}
		})
	}
}

type badHook struct{}

func (badHook) BeforeHead(*exchange.Exchange) { panic("in a hook") }

func TestStatusOfWhatWasNotAnswered(t *testing.T) {
	for want, answer := range map[int]exchange.HandlerFunc{
		460: func(x *exchange.Exchange) { x.Abort(exchange.ErrClientGone) },
		0:   func(x *exchange.Exchange) { x.Abort(errors.New("cut")) },
		204: func(x *exchange.Exchange) { x.Response.Status = 204 },
	} {
		h := newHouse(t, oneHost(), answer)
		h.ask("/")
		if n := h.metrics.hosts.Load(); (*n)[0].answers(want) != 1 {
			t.Errorf("no %d counted", want)
		}
	}
	h := newHouse(t, oneHost(), func(x *exchange.Exchange) { x.Abort(context.Canceled) })
	x, r := exchangetest.New("GET", "/")
	r.Cancel(exchange.ErrClientGone)
	h.send(x, r)
	if n := h.metrics.hosts.Load(); (*n)[0].answers(460) != 1 {
		t.Error("a visitor who is gone is not counted as such")
	}
}

func TestSwapLeavesExchangesTheirTable(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	h := newHouse(t, oneHost(), func(*exchange.Exchange) { close(entered); <-leave })
	done := make(chan *exchangetest.Recorder)
	go func() { done <- h.ask("/") }()
	<-entered
	h.swap(map[string]config.Host{"new.example": {}})
	if r := h.ask("/"); r.Status != 404 {
		t.Errorf("the old host still answers: %d", r.Status)
	}
	close(leave)
	if r := <-done; r.Status != 200 {
		t.Errorf("the exchange under way got %d", r.Status)
	}
}

func TestRefusedByTheFront(t *testing.T) {
	h := newHouse(t, oneHost(), ok)
	if err := h.access.Reopen(config.Log{Access: "stdout"}); err != nil {
		t.Fatal(err)
	}
	r := &front.Refusal{Peer: netip.MustParseAddrPort("[::ffff:192.0.2.1]:5"), Status: 400, Reason: "bad_line"}
	h.Refused(r)
	line := string(h.access.waiting)
	for _, want := range []string{`"id":"` + r.ID, `"status":400`, `"client":"192.0.2.1"`, `"error_reason":"bad_line"`} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
	if got := gather(t, h.metrics); got[`edge_refused_total{reason="bad_line"}`] != 1 || got[`edge_requests_total{code="400",host="_other"}`] != 1 {
		t.Error(got)
	}
}

// fieldText returns fields as "Name: value" joined by "|".
func fieldText(fields exchange.Fields) string {
	var lines []string
	for _, f := range fields {
		lines = append(lines, f.Name+": "+f.Value)
	}
	return strings.Join(lines, "|")
}

// TestShutdownIsNotTheVisitorsDoing has a handler that knows only that its context is done, as a proxy does.
func TestShutdownIsNotTheVisitorsDoing(t *testing.T) {
	for cause, want := range map[error]string{exchange.ErrShutdown: "shutdown", exchange.ErrClientGone: "client_gone"} {
		h := newHouse(t, oneHost(), func(x *exchange.Exchange) { x.Record.ErrorReason = "client_gone"; x.Abort(exchange.ErrClientGone) })
		x, r := exchangetest.New(http.MethodGet, "https://example.com/")
		r.Cancel(cause)
		h.send(x, r)
		status := map[string]int{"shutdown": 0, "client_gone": 460}[want]
		if n := h.metrics.hosts.Load(); x.Record.ErrorReason != want || (*n)[0].answers(status) != 1 {
			t.Errorf("%v: %q", cause, x.Record.ErrorReason)
		}
	}
}
