package preflight

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/onehost/edge/core/config"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A nameServer is a real DNS server with the records of a test.
type nameServer struct {
	address string
	records map[string][]string // by "NAME TYPE"; a name without any is NXDOMAIN
	broken  map[string]bool     // names that get SERVFAIL
}

func startDNS(t *testing.T, records ...string) *nameServer {
	t.Helper()
	s := &nameServer{records: map[string][]string{}, broken: map[string]bool{}}
	for _, r := range records {
		if question, answer, ok := strings.Cut(r, " <- "); ok { // an answer of another name's
			s.records[question] = append(s.records[question], answer)
			continue
		}
		name, rest, _ := strings.Cut(r, " ")
		kind, _, _ := strings.Cut(rest, " ")
		if kind == "SERVFAIL" {
			s.broken[name+"."] = true
			continue
		}
		s.records[name+". "+kind] = append(s.records[name+". "+kind], strings.Replace(r, " ", ". 60 IN ", 1))
	}
	udp, tcp := bothPorts(t)
	s.address = udp.LocalAddr().String()
	for _, server := range []*dns.Server{{PacketConn: udp, Handler: s}, {Listener: tcp, Handler: s}} {
		started, ended := make(chan struct{}), make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() { defer close(ended); _ = server.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = server.Shutdown(); <-ended })
	}
	return s
}

// bothPorts opens UDP and TCP on the same port.
func bothPorts(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for {
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		tcp, err := net.Listen("tcp", udp.LocalAddr().String())
		if err == nil {
			return udp, tcp
		}
		udp.Close() // somebody has the TCP port
	}
}

func (s *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	answer := new(dns.Msg).SetReply(q)
	name, kind := strings.ToLower(q.Question[0].Name), dns.TypeToString[q.Question[0].Qtype]
	known := false
	for key := range s.records {
		known = known || strings.HasPrefix(key, name+" ")
	}
	switch {
	case s.broken[name]:
		answer.Rcode = dns.RcodeServerFailure
	case !known:
		answer.Rcode = dns.RcodeNameError
	}
	for _, text := range s.records[name+" "+kind] {
		rr, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		answer.Answer = append(answer.Answer, rr)
	}
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp && len(answer.Answer) > 5 {
		answer.Truncated, answer.Answer = true, nil
	}
	_ = w.WriteMsg(answer)
}

// testWorld is a host with the addresses 127.0.0.1 and 127.0.0.2, a kept clock and room on its disk.
func testWorld(ns *nameServer) world {
	return world{
		resolvers: []string{ns.address}, metadata: "http://127.0.0.1:1", httpPort: "1", httpsPort: "1", patience: 3 * time.Second,
		interfaces: func() ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")}, nil
		},
		aws:  func(context.Context) error { return nil },
		now:  time.Now,
		ntp:  func() (bool, error) { return true, nil },
		room: func(string) (uint64, uint64, error) { return math.MaxUint64, math.MaxUint64, nil },
	}
}

// edgeLike answers as edge does to a challenge that nobody was given.
var edgeLike = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Request-Id", "1")
	if r.TLS == nil {
		http.Redirect(w, r, "https://"+r.Host+r.URL.Path, http.StatusPermanentRedirect)
	}
})

func portOf(address string) string { _, port, _ := net.SplitHostPort(address); return port }

// serve starts HTTP and HTTPS on 127.0.0.1 and has w knock there.
func serve(t *testing.T, w *world, h http.Handler) {
	t.Helper()
	plain, secure := httptest.NewServer(h), httptest.NewUnstartedServer(h)
	secure.Config.ErrorLog = log.New(t.Output(), "", 0)
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	w.httpPort, w.httpsPort = portOf(plain.Listener.Addr().String()), portOf(secure.Listener.Addr().String())
}

// startCA serves an ACME directory with some meta, and returns its URL and the file with its root.
func startCA(t *testing.T, meta string) (url, root string) {
	t.Helper()
	ca := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"newOrder": "https://ca/order", "meta": {%s}}`, meta)
	}))
	ca.Config.ErrorLog = log.New(t.Output(), "", 0)
	t.Cleanup(ca.Close)
	return ca.URL + "/dir", writePEM(t, ca.Certificate().Raw)
}

func writePEM(t *testing.T, der []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// configure loads a configuration whose hosts get certificates from a CA of the test.
func configure(t *testing.T, text string) *config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "edge.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, problems := config.Load(file, config.Env{})
	if cfg == nil {
		t.Fatal(problems)
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// oneHost is a configuration of one host with an ACME server of the test.
func oneHost(t *testing.T, host, more string) *config.Config {
	url, root := startCA(t, `"caaIdentities": ["CA.example"]`)
	return configure(t, fmt.Sprintf("%s\nhosts: {%q: {tls: {issuers: [{directory: %q, ca: %q}]}, default: {respond: {}}}}\n", more, host, url, root))
}

func inspect(t *testing.T, cfg *config.Config, w world, names ...string) []Finding {
	t.Helper()
	findings := newInspection(Options{Config: cfg, Names: names}, w).run(t.Context())
	if t.Failed() || testing.Verbose() {
		text, _ := json.MarshalIndent(findings, "", " ")
		t.Logf("%s", text)
	}
	return findings
}

// expect holds the findings of one check against "RESULT PART OF WHAT IS SEEN".
func expect(t *testing.T, findings []Finding, check string, want ...string) {
	t.Helper()
	var got []Finding
	for _, f := range findings {
		if f.Check == check {
			got = append(got, f)
		}
	}
	for i, w := range want {
		result, seen, _ := strings.Cut(w, " ")
		if i >= len(got) || string(got[i].Result) != result || !strings.Contains(got[i].Seen, seen) {
			t.Errorf("%s: %+v, want %q", check, got, want)
			return
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %+v, want %q", check, got, want)
	}
	for _, f := range got {
		if f.Result == Fail && f.Do == "" {
			t.Errorf("%+v does not say what to do", f)
		}
	}
}

func TestAHostThatIsWellHasNothingToMend(t *testing.T) {
	w := testWorld(startDNS(t, "a.example.com A 127.0.0.1"))
	serve(t, &w, edgeLike)
	findings := inspect(t, oneHost(t, "a.example.com", ""), w)
	if Failed(findings) {
		t.Error(findings)
	}
	expect(t, findings, "configuration", "ok by http-01 or tls-alpn-01")
	expect(t, findings, "storage", "ok MiB left")
	expect(t, findings, "ca", "ok answers in")
	expect(t, findings, "clock", "ok kept by NTP; right now it agrees with")
	expect(t, findings, "name", "ok 127.0.0.1")
	expect(t, findings, "address")
	expect(t, findings, "port 80", "ok edge answers")
	expect(t, findings, "port 443", "ok edge answers")
	expect(t, findings, "caa", "ok no CAA record")
	expect(t, findings, "certificate", "warn none is kept")
}

func TestAnOldAAAARecordIsFound(t *testing.T) {
	w := testWorld(startDNS(t, "a.example.com A 127.0.0.1", "a.example.com AAAA ::1"))
	serve(t, &w, edgeLike) // not on ::1
	findings := inspect(t, oneHost(t, "a.example.com", ""), w)
	expect(t, findings, "name", "ok ::1, 127.0.0.1")
	expect(t, findings, "address", "fail ::1 is not an address of this host, which has no IPv6 address")
	for _, f := range findings {
		if f.Check == "address" && !strings.Contains(f.Do, "AAAA record") {
			t.Errorf("%q does not name the record", f.Do)
		}
	}
	expect(t, findings, "port 80", "fail at ::1")
	expect(t, findings, "port 443", "fail at ::1")
}

func TestAnotherWayToProveANameMakesAFailureAWarning(t *testing.T) {
	w := testWorld(startDNS(t, "a.example.com AAAA ::1", "example.com NS ns-1.awsdns-1.com."))
	findings := inspect(t, oneHost(t, "a.example.com", "tls: {dns: {route53: {}}}"), w)
	expect(t, findings, "zone", "ok Route 53 serves the zone example.com")
	expect(t, findings, "address", "warn it can be proved another way")
	if Failed(findings) {
		t.Error(findings)
	}
}

func TestMissingCredentialsAreFoundForDNS01(t *testing.T) {
	w := testWorld(startDNS(t, "a.example.com A 127.0.0.1", "example.com NS ns-1.awsdns-1.com."))
	serve(t, &w, edgeLike)
	looked := 0
	w.aws = func(context.Context) error { looked++; return errors.New("there are no AWS credentials") }
	const dns = "tls: {dns: {route53: {}}}"
	findings := inspect(t, oneHost(t, "a.example.com", dns), w)
	expect(t, findings, "credentials", "warn no AWS credentials (it can be proved another way)")
	findings = inspect(t, oneHost(t, "*.example.com", dns), w)
	expect(t, findings, "credentials", "fail no AWS credentials")
	if looked != 2 || !Failed(findings) {
		t.Errorf("looked %d times: %+v", looked, findings)
	}
	w.httpPort, w.httpsPort = "1", "1" // then no way is open
	expect(t, inspect(t, oneHost(t, "a.example.com", dns), w), "port 80", "fail refused")
	looked = 0
	expect(t, inspect(t, oneHost(t, "a.example.com", ""), w), "credentials")
	if looked > 0 {
		t.Error("looked for credentials without dns-01")
	}
	w.aws = func(context.Context) error { return nil }
	expect(t, inspect(t, oneHost(t, "*.example.com", dns), w), "credentials", "ok there are")
}

func TestTheSDKIsAskedForCredentials(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_PROFILE": "", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret",
	} {
		t.Setenv(name, value)
	}
	if err := thisWorld().aws(t.Context()); err != nil {
		t.Error(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	if err := thisWorld().aws(t.Context()); err == nil || !strings.Contains(err.Error(), "no AWS credentials") {
		t.Error(err)
	}
}

func TestARecordToCreateHasAnAddressThatIsPublic(t *testing.T) {
	ns := startDNS(t)
	for own, want := range map[string]string{
		"9.9.9.9":             "A record with the public address of this host, 9.9.9.9",
		"10.0.0.1 2620:fe::9": "AAAA record with the public address of this host, 2620:fe::9",
		"10.0.0.1":            "it has only private ones itself",
		"192.0.2.2":           "it has only private ones itself", // for documentation (RFC 5737)
	} {
		w := testWorld(ns)
		w.interfaces = func() (list []netip.Addr, err error) {
			for _, text := range strings.Fields(own) {
				list = append(list, netip.MustParseAddr(text))
			}
			return list, nil
		}
		findings := inspect(t, oneHost(t, "a.example.com", ""), w)
		i := slices.IndexFunc(findings, func(f Finding) bool { return f.Check == "name" })
		if do := findings[i].Do; !strings.Contains(do, want) {
			t.Errorf("%s: %q, want %q", own, do, want)
		}
	}
}

func TestNamesThatDoNotResolve(t *testing.T) {
	ns := startDNS(t, "txt.example.com TXT x", "broken.example.com SERVFAIL", "many.example.com A 127.0.0.1",
		"many.example.com A 127.0.0.2", "many.example.com A 127.0.0.3", "many.example.com A 127.0.0.4", "many.example.com A 127.0.0.5", "many.example.com A 127.0.0.6")
	for name, want := range map[string]string{
		"gone.example.com":   "fail the DNS has no address for it",
		"txt.example.com":    "fail the DNS has no address for it",
		"broken.example.com": "fail SERVFAIL",
		"many.example.com":   "ok 127.0.0.1, 127.0.0.2", // over TCP
	} {
		expect(t, inspect(t, oneHost(t, name, ""), testWorld(ns)), "name", want)
	}
	w := testWorld(ns)
	w.resolvers = []string{closedPort(t)}
	findings := inspect(t, oneHost(t, "a.example.com", ""), w)
	expect(t, findings, "name", "unknown resolver 127.0.0.1:")
	expect(t, findings, "caa", "unknown resolver 127.0.0.1:")
	w.resolvers = append(w.resolvers, ns.address)
	expect(t, inspect(t, oneHost(t, "gone.example.com", ""), w), "name", "fail the DNS has no address")
}

// closedPort is a TCP and UDP address on which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().String()
}

func TestWhoAnswersAtThePorts(t *testing.T) {
	ns := startDNS(t, "a.example.com A 127.0.0.1")
	noCertificate := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, os.ErrNotExist }}
	for _, tt := range []struct {
		name        string
		on80, on443 func(net.Conn)
		want, want4 string
		more        string
	}{
		{name: "nobody", want: "fail refused", want4: "fail refused"},
		{name: "somebody who closes", on80: shut, on443: shut, want: "fail closed at once", want4: "fail closed at once"},
		{name: "edge that wants PROXY", on80: shut, on443: shut, want: "unknown closed at once", want4: "unknown closed at once", more: "listen: {proxy_protocol: [10.0.0.0/8]}"},
		{name: "somebody who is silent", on80: hold, on443: hold, want: "fail nothing answers", want4: "fail nothing answers"},
		{name: "another protocol", on80: say("SSH-2.0-x\r\n"), on443: say("SSH-2.0-x\r\n"), want: "fail another server", want4: "fail another server"},
		{name: "another web server", on80: say("HTTP/1.1 200 OK\r\nX-Request-Id: a\r\nContent-Length: 0\r\n\r\n"), on443: say("HTTP/1.1 400 Bad\r\n\r\n"), want: "fail another server", want4: "fail another server"},
		{name: "edge without a certificate", on80: say("HTTP/1.1 404 Not Found\r\nX-Request-Id: a\r\nContent-Length: 0\r\n\r\n"), on443: func(c net.Conn) { _ = tls.Server(c, noCertificate).Handshake() }, want: "ok edge answers", want4: "ok no certificate for the name yet"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := testWorld(ns)
			w.patience = 300 * time.Millisecond
			w.httpPort, w.httpsPort = portOf(closedPort(t)), portOf(closedPort(t))
			if tt.on80 != nil {
				w.httpPort, w.httpsPort = accept(t, tt.on80), accept(t, tt.on443)
				w.patience = 2 * time.Second
			}
			if strings.Contains(tt.want, "nothing") {
				w.patience = 50 * time.Millisecond
			}
			findings := inspect(t, oneHost(t, "a.example.com", tt.more), w)
			expect(t, findings, "port 80", tt.want)
			expect(t, findings, "port 443", tt.want4)
		})
	}
}

// accept has each connection answered, and returns the port.
func accept(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { defer c.Close(); answer(c) })
		}
	})
	t.Cleanup(func() { ln.Close(); all.Wait() })
	return portOf(ln.Addr().String())
}

func shut(net.Conn) {}

func hold(c net.Conn) { // until the other side goes
	for buf := make([]byte, 4096); ; {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}

func say(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = c.Write([]byte(text))
	}
}

func TestWhatEdgeDoesNotAskFor(t *testing.T) {
	cfg := configure(t, "tls: {issuers: [local]}\nhosts:\n  localhost: {aliases: [www.localhost], default: {respond: {}}}\n  plain.localhost: {tls: off, default: {respond: {}}}\n")
	w := testWorld(startDNS(t))
	findings := inspect(t, cfg, w)
	expect(t, findings, "configuration", "ok from local", "ok from local")
	expect(t, findings, "ca")
	expect(t, findings, "name")
	expect(t, inspect(t, cfg, w, "plain.localhost"), "configuration", "warn tls: off")
	findings = inspect(t, cfg, w, "other.localhost", "localhost")
	expect(t, findings, "configuration", "fail no such host", "ok from local")
	if !Failed(findings) {
		t.Error("a name that edge doesn't know prevents its certificate")
	}
}

func TestAnInspectionEndsWithItsTime(t *testing.T) {
	w := testWorld(startDNS(t, "a.example.com A 127.0.0.1"))
	w.httpPort, w.httpsPort, w.patience = accept(t, hold), accept(t, hold), time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	findings := newInspection(Options{Config: oneHost(t, "a.example.com", "")}, w).run(ctx)
	expect(t, findings, "port 80", "unknown no time left")
}

func TestManyNamesAreLookedAtAtOnce(t *testing.T) {
	ns := startDNS(t)
	text := "tls: {issuers: [{directory: 'https://127.0.0.1:1/dir'}]}\nhosts:\n"
	for i := range 200 {
		text += fmt.Sprintf("  h%d.example.com: {default: {respond: {}}}\n", i)
	}
	findings := inspect(t, configure(t, text), testWorld(ns))
	names := 0
	for _, f := range findings {
		if f.Check == "name" {
			names++
		}
	}
	if names != 200 {
		t.Errorf("%d names", names)
	}
	expect(t, findings, "ca", "fail refused")
}
