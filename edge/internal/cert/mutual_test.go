package cert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// A mutualHouse serves closed.localhost and *.closed.localhost to clients of one authority, other.localhost to
// those of the same one, and open.localhost to all.
type mutualHouse struct {
	*Manager
	t       *testing.T
	clients *authority
	file    string // client_ca
	hosts   map[string]config.Host
}

func newMutualHouse(t *testing.T) *mutualHouse {
	dir := t.TempDir()
	h := &mutualHouse{t: t, clients: newAuthority(t, "clients"), file: filepath.Join(dir, "clients.pem")}
	h.put(h.clients.pem())
	h.Manager = newTestManager(t, filepath.Join(dir, "data"))
	mutual := config.HostTLS{ClientCA: h.file}
	h.hosts = map[string]config.Host{
		"closed.localhost":   {TLS: mutual, Aliases: []string{"alias.localhost"}},
		"*.closed.localhost": {TLS: mutual},
		"127.0.0.1":          {TLS: mutual},
		"other.localhost":    {TLS: mutual},
		"open.localhost":     {},
	}
	h.use()
	return h
}

func (h *mutualHouse) put(data []byte) {
	h.t.Helper()
	if err := os.WriteFile(h.file, data, 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *mutualHouse) config() *config.Config { return localOnly(h.hosts) }

// localOnly has the local CA issue the certificates of hosts.
func localOnly(hosts map[string]config.Host) *config.Config {
	return &config.Config{Hosts: hosts, TLS: config.TLS{Issuers: []config.Issuer{{Name: config.Local}}}}
}

func (h *mutualHouse) use() {
	h.t.Helper()
	set, err := h.Plan(h.t.Context(), h.config())
	if err != nil {
		h.t.Fatal(err)
	}
	h.Use(set)
}

// A visitor's way to shake hands over real sockets: nil if the server goes on after the client has shown its certificate.
type dial func(h *mutualHouse, c *tls.Config) (server tls.ConnectionState, err error)

// overTCP speaks the newest TLS that c allows.
func overTCP(h *mutualHouse, c *tls.Config) (server tls.ConnectionState, err error) {
	h.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	defer ln.Close()
	served := make(chan tls.ConnectionState, 1)
	go func() {
		defer close(served)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		s := tls.Server(conn, h.TLS())
		s.Write([]byte("x"))
		served <- s.ConnectionState()
	}()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, err = io.ReadFull(tls.Client(conn, c), make([]byte, 1)) // TLS 1.3 judges the client after its last word
	return <-served, err
}

func overQUIC(h *mutualHouse, c *tls.Config) (server tls.ConnectionState, err error) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 10*time.Second)
	defer cancel()
	ln, err := quic.ListenAddr("127.0.0.1:0", http3.ConfigureTLSConfig(h.TLS()), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	defer ln.Close()
	served := make(chan tls.ConnectionState, 1)
	go func() {
		defer close(served)
		conn, err := ln.Accept(ctx)
		if err != nil {
			return
		}
		if s, err := conn.OpenUniStream(); err == nil {
			s.Write([]byte("x"))
			s.Close()
		}
		served <- conn.ConnectionState().TLS
		<-conn.Context().Done()
	}()
	c = c.Clone()
	c.NextProtos = []string{http3.NextProtoH3}
	conn, err := quic.DialAddr(ctx, ln.Addr().String(), c, nil)
	if err != nil {
		cancel()
		<-served
		return server, err
	}
	s, err := conn.AcceptUniStream(ctx)
	if err == nil {
		_, err = io.ReadFull(s, make([]byte, 1))
	}
	conn.CloseWithError(0, "")
	cancel()
	return <-served, err
}

func eachWay(t *testing.T, test func(t *testing.T, dial dial)) {
	t.Run("TLS 1.2", func(t *testing.T) {
		test(t, func(h *mutualHouse, c *tls.Config) (tls.ConnectionState, error) {
			c = c.Clone()
			c.MaxVersion = tls.VersionTLS12
			return overTCP(h, c)
		})
	})
	t.Run("TLS 1.3", func(t *testing.T) { test(t, overTCP) })
	t.Run("QUIC", func(t *testing.T) { test(t, overQUIC) })
}

func visitor(name string, certificates ...tls.Certificate) *tls.Config {
	return &tls.Config{ServerName: name, InsecureSkipVerify: true, Certificates: certificates}
}

func TestClientCertificateIsDemanded(t *testing.T) {
	eachWay(t, func(t *testing.T, dial dial) {
		h := newMutualHouse(t)
		good := h.clients.clientCertificate("robot")
		for _, name := range []string{"closed.localhost", "alias.localhost", "a.closed.localhost", "other.localhost", ""} {
			state, err := dial(h, visitor(name, good))
			if err != nil || len(state.VerifiedChains) == 0 {
				t.Errorf("%q with a certificate: %v", name, err)
			}
			if _, err := dial(h, visitor(name)); err == nil {
				t.Errorf("%q is served without a certificate", name)
			}
		}
		if state, err := dial(h, visitor("open.localhost", good)); err != nil || len(state.PeerCertificates) > 0 {
			t.Errorf("a host without client_ca: %v", err)
		}
	})
}

func TestOnlyCertificatesOfTheHostsAuthorityCount(t *testing.T) {
	h := newMutualHouse(t)
	past := time.Now().Add(-time.Hour)
	clientAuth := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	two := h.clients.below("2").below("3")
	for name, tt := range map[string]struct {
		with tls.Certificate
		good bool
	}{
		"for any use":             {h.clients.issue(&x509.Certificate{}), true},
		"of a fourth level":       {two.clientCertificate("robot"), true},
		"of a fifth level":        {two.below("4").clientCertificate("robot"), false},
		"of another authority":    {newAuthority(t, "clients").clientCertificate("robot"), false},
		"for servers":             {h.clients.serverCertificate("robot"), false},
		"that has ended":          {h.clients.issue(&x509.Certificate{NotAfter: past, ExtKeyUsage: clientAuth}), false},
		"issued by a client":      {h.clients.asAuthority(h.clients.clientCertificate("robot")).clientCertificate("robot"), false},
		"whose key another holds": {tls.Certificate{Certificate: h.clients.clientCertificate("robot").Certificate, PrivateKey: newKey(t)}, false},
	} {
		_, err := overTCP(h, visitor("closed.localhost", tt.with))
		if (err == nil) != tt.good {
			t.Errorf("a certificate %s: %v", name, err)
		}
		if err != nil && !strings.Contains(err.Error(), "remote error: tls:") {
			t.Errorf("a certificate %s gets no alert: %v", name, err)
		}
	}
}

func TestMutualSessionsAreNotResumed(t *testing.T) {
	eachWay(t, func(t *testing.T, dial dial) {
		h := newMutualHouse(t)
		closed, open := visitor("closed.localhost", h.clients.clientCertificate("robot")), visitor("open.localhost")
		shared := sameSession{tls.NewLRUClientSessionCache(1)} // offers each session everywhere
		closed.ClientSessionCache, open.ClientSessionCache = shared, shared
		resumed := func(c *tls.Config) bool {
			t.Helper()
			state, err := dial(h, c)
			if err != nil {
				t.Fatal(err)
			}
			return state.DidResume
		}
		if resumed(closed) || resumed(closed) {
			t.Error("a session with a client's certificate was resumed")
		}
		if resumed(open) || !resumed(open) {
			t.Error("a session of a host without client_ca was not resumed")
		}
		if resumed(closed) {
			t.Error("a session of another host was resumed into one with client_ca")
		}
		resumed(open)
		if _, err := dial(h, &tls.Config{ServerName: "nobody.localhost", InsecureSkipVerify: true, ClientSessionCache: shared}); err == nil {
			t.Error("a session was resumed for a name that is no host")
		}
	})
}

// sameSession keeps one session for all names.
type sameSession struct{ tls.ClientSessionCache }

func (s sameSession) Get(string) (*tls.ClientSessionState, bool) { return s.ClientSessionCache.Get("") }
func (s sameSession) Put(_ string, c *tls.ClientSessionState)    { s.ClientSessionCache.Put("", c) }

func TestConnectionsReachOnlyTheHostThatTheirCertificateIsFor(t *testing.T) {
	h := newMutualHouse(t)
	good := h.clients.clientCertificate("robot")
	for _, tt := range []struct {
		sni, hostname string
		covered       bool
	}{
		{"closed.localhost", "closed.localhost", true},
		{"CLOSED.localhost.", "closed.localhost", true},
		{"a.closed.localhost", "b.closed.localhost", true},
		{"open.localhost", "open.localhost", true},
		{"", "127.0.0.1", true},
		{"open.localhost", "closed.localhost", false},
		{"closed.localhost", "open.localhost", false},
		{"closed.localhost", "other.localhost", false},
		{"closed.localhost", "a.closed.localhost", false},
		{"closed.localhost", "nobody.localhost", false},
		{"", "closed.localhost", false},
		{"", "open.localhost", false},
	} {
		state, err := overTCP(h, visitor(tt.sni, good))
		if err != nil {
			t.Fatal(err)
		}
		if got := h.Covers(&state, tt.hostname); got != tt.covered {
			t.Errorf("with %q for %q: %v", tt.sni, tt.hostname, got)
		}
	}
	if h.Covers(nil, "closed.localhost") || !h.Covers(nil, "open.localhost") || !h.Covers(nil, "nobody.localhost") {
		t.Error("without TLS")
	}
}

// TestCoveringByCertificateIsNotEnough has one certificate for all, as with PEM files of several names.
func TestCoveringByCertificateIsNotEnough(t *testing.T) {
	h := newMutualHouse(t)
	pair := pairFile(t, h.clients.serverCertificate("a.example", "b.example"))
	h.hosts = map[string]config.Host{
		"a.example": {TLS: config.HostTLS{Cert: pair, Key: pair, ClientCA: h.file}},
		"b.example": {TLS: config.HostTLS{Cert: pair, Key: pair}},
	}
	h.use()
	a, err := overTCP(h, visitor("a.example", h.clients.clientCertificate("robot")))
	if err != nil {
		t.Fatal(err)
	}
	b, err := overTCP(h, visitor("b.example"))
	if err != nil {
		t.Fatal(err)
	}
	if h.Covers(&a, "b.example") || h.Covers(&b, "a.example") || !h.Covers(&a, "a.example") || !h.Covers(&b, "b.example") {
		t.Error("a connection reaches another host than its certificate is for")
	}
	h.hosts["b.example"] = h.hosts["a.example"]
	h.use()
	if h.Covers(&b, "b.example") {
		t.Error("a connection from before client_ca goes on without a certificate")
	}
	if h.Covers(&a, "b.example") {
		t.Error("a connection reaches another host that asks for a certificate, too")
	}
	h.hosts["a.example"] = config.Host{TLS: config.HostTLS{Cert: pair, Key: pair}}
	h.use()
	if h.Covers(&a, "a.example") {
		t.Error("a certificate reaches a host that no longer asks for one")
	}
}

func TestClientCAIsReadAgain(t *testing.T) {
	h := newMutualHouse(t)
	old := h.clients.clientCertificate("robot")
	state, err := overTCP(h, visitor("closed.localhost", old))
	if err != nil {
		t.Fatal(err)
	}
	h.put([]byte("no PEM at all"))
	h.refreshFiles()
	if _, err := overTCP(h, visitor("closed.localhost", old)); err != nil {
		t.Error("a broken file is used:", err)
	}
	if got := h.statusOf("closed.localhost"); !strings.Contains(got.Error, h.file) {
		t.Errorf("status says %q", got.Error)
	}
	if _, err := h.Plan(t.Context(), h.config()); err == nil || !strings.Contains(err.Error(), "closed.localhost") {
		t.Error("a reload with a broken file:", err)
	}
	next := newAuthority(t, "next")
	h.put(next.pem())
	h.refreshFiles()
	if _, err := overTCP(h, visitor("closed.localhost", old)); err == nil {
		t.Error("who is no longer in the file is let in")
	}
	if _, err := overTCP(h, visitor("closed.localhost", next.clientCertificate("robot"))); err != nil {
		t.Error("who is new in the file:", err)
	}
	if h.Covers(&state, "closed.localhost") {
		t.Error("a connection goes on by an authority that is no longer in the file")
	}
	if got := h.statusOf("closed.localhost"); got.Error != "" {
		t.Errorf("status says %q", got.Error)
	}
}

// TestRunReadsClientCAs is about Run, and the way there of a file.
func TestRunReadsClientCAs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newTestManager(t, t.TempDir())
		file := filepath.Join(t.TempDir(), "ca.pem")
		os.WriteFile(file, newAuthority(t, "a").pem(), 0o600)
		ca, err := m.clientsOf(new(Set), config.HostTLS{ClientCA: file})
		if err != nil {
			t.Fatal(err)
		}
		m.Use(&Set{names: map[string]*source{"a.example": {name: "a.example", files: new(pair), clients: ca}}})
		before := ca.config()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- m.Run(ctx) }()
		os.WriteFile(file, newAuthority(t, "another").pem(), 0o600)
		time.Sleep(2 * FileCheckInterval)
		synctest.Wait()
		if ca.config() == before {
			t.Error("the new file is not read")
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(m.dataDir, "keys", "tickets")); err != nil {
			t.Error("session ticket keys are not kept:", err)
		}
	})
}

// TestAsManyAuthoritiesAsAreAllowed shows that clients take the message that names them all.
func TestAsManyAuthoritiesAsAreAllowed(t *testing.T) {
	h := newMutualHouse(t)
	many := strings.Repeat(string(newAuthority(t, strings.Repeat("long", 1000)).pem()), 7)
	h.put([]byte(many + string(h.clients.pem())))
	h.refreshFiles()
	eachWay(t, func(t *testing.T, dial dial) {
		if _, err := dial(h, visitor("closed.localhost", h.clients.clientCertificate("robot"))); err != nil {
			t.Error(err)
		}
	})
}

// TestChallengesNeedNoClientCertificate is about a CA that issues for a host with client_ca (RFC 8737).
func TestChallengesNeedNoClientCertificate(t *testing.T) {
	h := newMutualHouse(t)
	ask := visitor("closed.localhost")
	ask.NextProtos = []string{"acme-tls/1"}
	if _, err := overTCP(h, ask); err == nil {
		t.Error("a handshake for a challenge that nobody has put gets through")
	}
	answer := h.clients.serverCertificate("closed.localhost")
	h.challenges.alpn["closed.localhost"] = &answer
	state, err := overTCP(h, ask)
	if err != nil || state.NegotiatedProtocol != "acme-tls/1" {
		t.Error(state.NegotiatedProtocol, err)
	}
	if h.Covers(&state, "closed.localhost") {
		t.Error("a challenge's connection reaches the host")
	}
	ask.NextProtos = []string{"h2", "acme-tls/1"}
	if _, err := overTCP(h, ask); err == nil {
		t.Error("a certificate is not asked for when a challenge is offered among others")
	}
}

func BenchmarkHandshake(b *testing.B) {
	m := newTestManager(b, b.TempDir())
	set, err := m.Plan(b.Context(), localOnly(map[string]config.Host{"localhost": {}}))
	if err != nil {
		b.Fatal(err)
	}
	m.Use(set)
	direct := m.TLS().Clone()
	direct.GetConfigForClient = nil
	for name, server := range map[string]*tls.Config{"as served": m.TLS(), "without GetConfigForClient": direct} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				here, there := net.Pipe()
				go tls.Server(there, server).Handshake()
				if err := tls.Client(here, visitor("localhost")).Handshake(); err != nil {
					b.Fatal(err)
				}
				here.Close()
			}
		})
	}
}

func newTestManager(t testing.TB, dir string) *Manager {
	t.Helper()
	m, err := New(dir, Sharing{}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func (h *mutualHouse) statusOf(name string) Status {
	for _, s := range h.Status() {
		if s.Host == name {
			return s
		}
	}
	return Status{}
}
