package cert

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
	"github.com/onehost/edge/edge/internal/cert/acmetest"
)

// A street is hosts on one store, behind one address at which a CA looks for answers.
type street struct {
	t      *testing.T
	ca     *acmetest.CA
	cfg    *config.Config
	houses []*house
	own    atomic.Bool // answers come from the host that has them; otherwise from one that has not
}

type house struct {
	*Manager
	t   *testing.T
	dir string
	log *lines
	end func()
}

// lines is a log that may be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newStreet(t *testing.T, o acmetest.Options, challenge string, names ...string) *street {
	t.Helper()
	s := &street{t: t, ca: acmetest.Start(t, o)}
	s.cfg = &config.Config{
		Hosts:  make(map[string]config.Host),
		TLS:    config.TLS{Issuers: []config.Issuer{{Directory: s.ca.Directory, CA: s.ca.RootFile, Challenges: []string{challenge}}}, CheckInterval: time.Second},
		Listen: config.Listen{HTTP: []string{":80"}, HTTPS: []string{":443"}},
	}
	for _, name := range names {
		s.cfg.Hosts[name] = config.Host{}
	}
	s.listen()
	return s
}

// listen answers the CA at the one address.
func (s *street) listen() {
	plain := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, ok := s.answering(func(c *challenges) bool { return c.http[r.URL.Path[len(challengePath):]] != "" }).Challenge(r.URL.Path); ok {
			_, _ = io.WriteString(w, body)
			return
		}
		http.NotFound(w, r)
	}))
	plain.Listener.Close()
	plain.Listener = s.at(s.ca.HTTPPort)
	plain.Start()
	s.t.Cleanup(plain.Close)
	secure := s.at(s.ca.TLSPort)
	terms := &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		of := s.answering(func(c *challenges) bool { return c.alpn[hello.ServerName] != nil })
		if answer, err := of.TLS().GetConfigForClient(hello); answer != nil || err != nil {
			return answer, err
		}
		return of.TLS(), nil
	}}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := secure.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				_ = tls.Server(c, terms).Handshake()
			})
		}
	})
	s.t.Cleanup(func() {
		secure.Close()
		served.Wait()
	})
}

func (s *street) at(port int) net.Listener {
	s.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		s.t.Fatal(err)
	}
	return ln
}

// answering returns the host that a challenge is led to.
func (s *street) answering(has func(*challenges) bool) *house {
	for _, h := range s.houses {
		h.challenges.mu.RLock()
		own := has(h.challenges)
		h.challenges.mu.RUnlock()
		if own == s.own.Load() {
			return h
		}
	}
	return s.houses[0]
}

// add opens hosts, which begin to serve together.
func (s *street) add(n int, open func() store.Store) {
	s.t.Helper()
	var begin []*house
	for range n {
		h := &house{t: s.t, dir: s.t.TempDir(), log: new(lines)}
		h.open(Sharing{Store: open(), Key: bytes.Repeat([]byte{7}, 32)})
		begin = append(begin, h)
	}
	s.houses = append(s.houses, begin...)
	for _, h := range begin {
		h.serve(s.cfg)
	}
}

func (h *house) open(with Sharing) {
	h.t.Helper()
	var err error
	h.Manager, err = New(h.dir, with, slog.New(slog.NewTextHandler(h.log, nil)))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(h.Close)
}

// serve runs the host until the test ends, or end is called.
func (h *house) serve(cfg *config.Config) {
	h.t.Helper()
	began := time.Now()
	set, err := h.Plan(h.t.Context(), cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	if took := time.Since(began); took > fetchTimeout+5*time.Second { // the rest is work, on a machine that others use
		h.t.Errorf("planning took %v", took)
	}
	h.Use(set)
	ctx, cancel := context.WithCancel(h.t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = h.Run(ctx) })
	h.end = func() {
		cancel()
		running.Wait()
	}
	h.t.Cleanup(func() {
		h.end()
		if h.t.Failed() {
			h.t.Log(h.log)
		}
	})
}

// leaf is what a visitor gets, nil if there is nothing.
func (h *house) leaf(name string) *x509.Certificate {
	h.t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	go func() {
		_ = tls.Server(there, h.TLS()).Handshake()
		there.Close()
	}()
	c := tls.Client(here, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if c.Handshake() != nil {
		return nil
	}
	return c.ConnectionState().PeerCertificates[0]
}

// same returns the one certificate that all hosts serve a name under, but not one of before.
func (s *street) same(name string, before ...*x509.Certificate) (leaf *x509.Certificate) {
	s.t.Helper()
	until(s.t, func() bool {
		leaf = s.houses[0].leaf(name)
		for _, h := range s.houses {
			if one := h.leaf(name); one == nil || !one.Equal(leaf) {
				return false
			}
		}
		for _, b := range before {
			if leaf.Equal(b) {
				return false
			}
		}
		return true
	})
	return leaf
}

// until waits until something is so.
func until(t *testing.T, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			t.Fatal("it does not come about")
		case <-tick.C:
		}
	}
}

func (s *street) wantOrders(name string, n int) {
	s.t.Helper()
	if got := s.ca.Orders(name); got != n {
		s.t.Errorf("%d orders for %s, want %d", got, name, n)
	}
}

func (s *street) wantOneAccount() {
	s.t.Helper()
	made := 0
	for _, r := range s.ca.Requests(acmetest.KindNewAccount) {
		if r.Status == http.StatusCreated {
			made++
		}
	}
	if made != 1 {
		s.t.Errorf("%d accounts", made)
	}
}

// inMemory has all hosts of a street share one store that is kept in memory.
func inMemory() (*storetest.Memory, func() store.Store) {
	m := storetest.NewMemory()
	return m, func() store.Store { return m }
}

// The answers to challenges are asked of hosts that did not order.
func TestHostsThatStartTogetherGetOneCertificateWithOneOrder(t *testing.T) {
	for _, challenge := range []string{config.HTTP01, config.TLSALPN01} {
		t.Run(challenge, func(t *testing.T) {
			t.Parallel()
			s := newStreet(t, acmetest.Options{}, challenge, "a.test", "b.test")
			_, open := inMemory()
			s.add(3, open)
			for _, name := range []string{"a.test", "b.test"} {
				s.same(name)
				s.wantOrders(name, 1)
			}
			s.wantOneAccount()
			s.add(1, open)
			if s.houses[3].leaf("a.test") == nil {
				t.Error("a host that comes later does not begin with what there is")
			}
			s.wantOrders("a.test", 1)
		})
	}
}

func TestARenewalThatIsDueEverywhereIsOneOrder(t *testing.T) {
	t.Parallel()
	s := newStreet(t, acmetest.Options{RenewalInfoEvery: time.Second}, config.HTTP01, "a.test")
	_, open := inMemory()
	s.add(3, open)
	first := s.same("a.test")
	s.ca.SetRenewalInfo(t, first, acmetest.RenewalWindow(time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)))
	second := s.same("a.test", first)
	s.wantOrders("a.test", 2)
	if err := s.houses[1].Renew(t.Context(), "a.test"); err != nil {
		t.Fatal(err)
	}
	s.same("a.test", first, second)
	s.wantOrders("a.test", 3)
}

func TestWithTheStoreAwayHandshakesAndRenewalsGoOn(t *testing.T) {
	t.Parallel()
	s := newStreet(t, acmetest.Options{}, config.TLSALPN01, "a.test")
	m, open := inMemory()
	s.add(3, open)
	first := s.same("a.test")
	m.SetUnavailable(true)
	s.own.Store(true)
	if s.same("a.test") == nil {
		t.Error("no handshakes")
	}
	if err := s.houses[2].Renew(t.Context(), "a.test"); err != nil {
		t.Fatal(err)
	}
	second := s.houses[2].leaf("a.test")
	if second.Equal(first) {
		t.Error("not renewed")
	}
	s.houses[1].end() // and is started again
	s.houses[1].Close()
	s.houses[1].open(Sharing{Store: m, Key: bytes.Repeat([]byte{7}, 32)})
	s.houses[1].serve(s.cfg)
	if got := s.houses[1].leaf("a.test"); got == nil || !got.Equal(first) {
		t.Error("a start without the store has no certificate")
	}
	m.SetUnavailable(false)
	if got := s.same("a.test", first); !got.Equal(second) {
		t.Error("not the one that was renewed")
	}
	s.wantOrders("a.test", 2)
}

func TestHostsThatBeginApartEndWithOneCertificate(t *testing.T) {
	t.Parallel()
	s := newStreet(t, acmetest.Options{}, config.HTTP01, "a.test")
	m, open := inMemory()
	m.SetUnavailable(true)
	s.own.Store(true)
	s.add(3, open)
	until(t, func() bool {
		for _, h := range s.houses {
			if h.leaf("a.test") == nil {
				return false
			}
		}
		return true
	})
	m.SetUnavailable(false)
	s.same("a.test")
	s.wantOrders("a.test", 3)
}

func TestASessionIsResumedAtAnotherHost(t *testing.T) {
	t.Parallel()
	m, open := inMemory()
	s := &street{t: t, cfg: localOnly(map[string]config.Host{"localhost": {}})}
	s.add(2, open)
	agreed := func() bool {
		return bytes.Equal(encodeTicketKeys(s.houses[0].tickets.current()), encodeTicketKeys(s.houses[1].tickets.current()))
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		until(t, agreed)
		visitor := &tls.Config{ServerName: "localhost", InsecureSkipVerify: true, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		if s.houses[0].resumes(visitor) || !s.houses[1].resumes(visitor) {
			t.Error("not resumed")
		}
		m.SetUnavailable(true)
		if !s.houses[0].resumes(visitor) {
			t.Error("not resumed while the store is away")
		}
		for _, h := range s.houses { // a key each, while they are apart
			h.tickets.mu.Lock()
			h.tickets.keys[0].made = h.tickets.keys[0].made.Add(-ticketKeyRotation)
			h.tickets.mu.Unlock()
			h.tickets.renew(time.Now())
		}
		if agreed() {
			t.Error("nothing was to agree on")
		}
		m.SetUnavailable(false)
	}
	until(t, agreed)
	if n := len(s.houses[0].tickets.current()); n < 4 {
		t.Errorf("%d keys: some are lost", n)
	}
}

// resumes has a visitor come, and reports whether that went on with a session from before.
func (h *house) resumes(visitor *tls.Config) bool {
	h.t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	go func() {
		s := tls.Server(there, h.TLS())
		_, _ = s.Write([]byte("x"))
		there.Close()
	}()
	c := tls.Client(here, visitor)
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil { // TLS 1.3 sends its tickets before
		h.t.Fatal(err)
	}
	return c.ConnectionState().DidResume
}

func TestAHostWithTheWrongKeySaysSo(t *testing.T) {
	t.Parallel()
	_, open := inMemory()
	s := &street{t: t, cfg: localOnly(map[string]config.Host{"localhost": {}})}
	s.add(1, open)
	h := &house{t: t, dir: t.TempDir(), log: new(lines)}
	h.open(Sharing{Store: open(), Key: bytes.Repeat([]byte{8}, 32)})
	h.serve(s.cfg)
	if said := h.Attention(); len(said) != 1 || h.leaf("localhost") == nil {
		t.Error(said)
	}
	if said := s.houses[0].Attention(); said != nil {
		t.Error(said)
	}
	if _, err := New(t.TempDir(), Sharing{Store: open(), Key: []byte("short")}, slog.Default()); err == nil {
		t.Error("a short key is one")
	}
}

// standing is a store that does not answer at all.
type standing struct{ store.Store }

func (standing) Ensure(ctx context.Context, _ ...store.Collection) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestPlansWaitOnceAndAMomentForAStoreThatDoesNotAnswer(t *testing.T) {
	dir := t.TempDir()
	cfg := localOnly(map[string]config.Host{"localhost": {}})
	for i := range 20 {
		cfg.Hosts["host"+strconv.Itoa(i)+".localhost"] = config.Host{}
	}
	h := &house{t: t, dir: dir, log: new(lines)}
	h.open(Sharing{Store: standing{storetest.NewMemory()}})
	h.serve(cfg)
	began := time.Now()
	if _, err := h.Plan(t.Context(), cfg); err != nil || time.Since(began) > fetchTimeout {
		t.Error("a reload waits, too:", time.Since(began), err)
	}
	if h.leaf("host19.localhost") == nil {
		t.Error("nothing is served")
	}
}
