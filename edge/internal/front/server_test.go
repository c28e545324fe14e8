package front

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/onehost/edge/edge/internal/exchange"
)

func TestMain(m *testing.M) {
	if order := os.Getenv(idleVisitors); order != "" {
		if err := holdConnections(order); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// A host is a running server under test.
type host struct {
	t       testing.TB
	server  *Server
	address string
	secure  bool

	quic func() string // the address of h3, which is served from its first use on

	mu      sync.Mutex
	refused []Refusal
}

// start serves handler on a port of its own and drains at the end of the test.
func start(t testing.TB, secure bool, limits Limits, handler exchange.HandlerFunc) *host {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, ln, secure, limits, handler)
}

// fromElsewhere is a listener whose visitors seem to come from another host.
type fromElsewhere struct{ net.Listener }

func (l fromElsewhere) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return foreign{c}, err
}

type foreign struct{ net.Conn }

func (foreign) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:4711"))
}

// startOn is start with a listener of the test's own.
func startOn(t testing.TB, ln net.Listener, secure bool, limits Limits, handler exchange.HandlerFunc) *host {
	t.Helper()
	h := &host{t: t, address: ln.Addr().String(), secure: secure}
	h.server = New(Options{Handler: handler, Limits: limits, TLS: testTLS(t), Log: slog.New(slog.DiscardHandler), Refused: h.noteRefusal})
	served := make(chan error, 1)
	go func() { served <- h.server.Serve(ln, secure) }()
	t.Cleanup(func() {
		ln.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		h.server.Drain(ctx)
	})
	h.quic = sync.OnceValue(h.serveQUIC)
	return h
}

func (h *host) serveQUIC() string {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- h.server.ServeQUIC(pc) }()
	h.t.Cleanup(func() { // before that of startOn
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		h.server.Drain(ctx)
		if err := <-served; err != nil {
			h.t.Errorf("ServeQUIC: %v", err)
		}
		pc.Close()
	})
	return pc.LocalAddr().String()
}

func (h *host) noteRefusal(r *Refusal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.ID = "id-of-refusal"
	h.refused = append(h.refused, *r)
}

func (h *host) refusals() []Refusal {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Refusal(nil), h.refused...)
}

// A visitor is a raw connection to a host.
type visitor struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func (h *host) visit() *visitor {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.address)
	if err != nil {
		h.t.Fatal(err)
	}
	if h.secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	}
	h.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return &visitor{Conn: conn, t: h.t, r: bufio.NewReader(conn)}
}

func (v *visitor) send(raw string) {
	v.t.Helper()
	if _, err := io.WriteString(v, raw); err != nil {
		v.t.Fatalf("sending: %v", err)
	}
}

// answer reads one answer and its body.
func (v *visitor) answer(method string) (*http.Response, string) {
	v.t.Helper()
	r, err := http.ReadResponse(v.r, &http.Request{Method: method})
	if err != nil {
		v.t.Fatalf("reading the answer: %v", err)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		v.t.Fatalf("reading the answer's body: %v", err)
	}
	return r, string(b)
}

func (v *visitor) expect(method string, status int, body string) *http.Response {
	v.t.Helper()
	r, b := v.answer(method)
	if r.StatusCode != status || b != body {
		v.t.Fatalf("answer is %d %q, want %d %q", r.StatusCode, short(b), status, short(body))
	}
	return r
}

// expectEnd wants the connection to end in order, without anything more.
func (v *visitor) expectEnd() {
	v.t.Helper()
	if b, err := io.ReadAll(v.r); err != nil || len(b) > 0 {
		v.t.Fatalf("after the answer: %q, %v, want the end", short(string(b)), err)
	}
}

func short(s string) string {
	if len(s) > 200 {
		return s[:200] + "..."
	}
	return s
}

func text(s string) exchange.HandlerFunc {
	return func(x *exchange.Exchange) {
		x.Response.Length = int64(len(s))
		io.WriteString(x, s)
	}
}

// echo answers with what was asked: method, target and body.
func echo(x *exchange.Exchange) {
	b, err := io.ReadAll(x.Body)
	if err != nil {
		x.Response.Status = 400
		b = []byte(err.Error())
	}
	s := x.Method + " " + x.RawPath + " " + string(b)
	text(s)(x)
}

func onBoth(t *testing.T, f func(t *testing.T, secure bool)) {
	t.Helper()
	t.Run("plain", func(t *testing.T) { t.Parallel(); f(t, false) })
	t.Run("tls", func(t *testing.T) { t.Parallel(); f(t, true) })
}

var testTLS = func() func(testing.TB) *tls.Config {
	config := sync.OnceValues(func() (*tls.Config, error) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a.test"}, NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			return nil, err
		}
		return &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
			NextProtos:   []string{"h2", "http/1.1"},
			MinVersion:   tls.VersionTLS12,
		}, nil
	})
	return func(t testing.TB) *tls.Config {
		c, err := config()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}()

func repeat(s string, n int) string { return strings.Repeat(s, n) }

// waitFor polls what has no event to wait for.
func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}
