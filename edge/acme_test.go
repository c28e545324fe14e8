package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/cert/acmetest"
	"github.com/onehost/edge/edge/internal/cert/route53/route53test"
)

// acmeHead is what configurations begin with whose certificates come from a real ACME server. Its ports are held for TCP
// alone: over UDP a visitor of another test may have one.
const acmeHead = `
data_dir: ./data
listen: {http: "127.0.0.1:HTTP", https: "127.0.0.1:HTTPS", h3: off, metrics: 127.0.0.1:0, public_port: 443}
tls: {email: ops@example.com, issuers: [{directory: "DIRECTORY", ca: "ROOT"}], check_interval: 1s}
shutdown: 5s
`

// serveACME starts a server whose certificates come from ca.
func serveACME(t *testing.T, ca *acmetest.CA, head, body string, replace ...string) *running {
	t.Helper()
	r := serveBelow(t, head, body, append(replace, of(ca)...)...)
	r.roots = ca.Roots(t)
	return r
}

// of replaces the names of what belongs to a CA in a configuration.
func of(ca *acmetest.CA) []string {
	return []string{"HTTPS", strconv.Itoa(ca.TLSPort), "HTTP", strconv.Itoa(ca.HTTPPort), "DIRECTORY", ca.Directory, "ROOT", ca.RootFile}
}

// answering is hosts that answer with their name.
func answering(names ...string) string {
	var b strings.Builder
	b.WriteString("hosts:\n")
	for _, name := range names {
		fmt.Fprintf(&b, "  %q: {default: {respond: {body: %q}}}\n", name, name)
	}
	return b.String()
}

const issued = "a certificate was issued"

// leaf returns the certificate that a name is served under, verified.
func (r *running) leaf(name string) (*x509.Certificate, error) {
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: &tls.Config{ServerName: name, RootCAs: r.roots}}
	c, err := dialer.DialContext(r.t.Context(), "tcp", r.listeners.HTTPS[0].Addr().String())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// kept returns the certificate of a name that is on the disk, with its key.
func (r *running) kept(t *testing.T, name string) tls.Certificate {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(r.file), "data", "certificates", "certificates", "*", name, name+".crt"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	pair, err := tls.LoadX509KeyPair(files[0], strings.TrimSuffix(files[0], ".crt")+".key")
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestCertificatesComeByThemselves(t *testing.T) {
	t.Parallel()
	for _, challenge := range []string{"http-01", "tls-alpn-01"} {
		t.Run(challenge, func(t *testing.T) {
			t.Parallel()
			ca := acmetest.Start(t, acmetest.Options{Strict: true, RejectNonces: 20})
			head := strings.NewReplacer(`"ROOT"}`, `"ROOT", challenges: [`+challenge+`]}`, "h3: off", "h3: on").Replace(acmeHead)
			s := serveACME(t, ca, head, answering("a.test", "b.test"))
			s.log.wait(t, 1, issued, "host=a.test")
			s.log.wait(t, 1, issued, "host=b.test")
			for _, protocol := range protocols {
				if got := fetch(t, s.client(protocol), "GET", "https://a.test/", ""); got.text != "a.test" {
					t.Errorf("%s: %s %s", protocol, got.Status, got.text)
				}
			}
		})
	}
}

func TestTenHostsAtOnceOneOfWhichTheCARefuses(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{Strict: true, RejectNonces: 20, Refuse: []string{"h3.test"}})
	var names []string
	for i := range 10 {
		names = append(names, fmt.Sprintf("h%d.test", i))
	}
	s := serveACME(t, ca, acmeHead, answering(names...))
	for _, name := range names {
		if name == "h3.test" {
			continue
		}
		s.log.wait(t, 1, issued, "host="+name)
		if _, err := s.leaf(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.log.wait(t, 1, "no certificate", "host=h3.test")
	if _, err := s.leaf("h3.test"); err == nil {
		t.Error("a name that the CA refuses is served")
	}
	for _, st := range s.Certificates() {
		switch {
		case st.Host != "h3.test" && (st.Error != "" || st.Red):
			t.Errorf("%s: %+v", st.Host, st)
		case st.Host == "h3.test" && (!strings.Contains(st.Error, "rejectedIdentifier") || !st.Red || st.NextTry.Before(time.Now())):
			t.Errorf("the refusal is not told in the CA's words: %+v", st)
		}
	}
	_, out, _ := command(t, "certs", "--admin", s.server.admin.Addr().String())
	if !strings.Contains(out, "rejectedIdentifier") {
		t.Errorf("edge certs does not say what the CA said:\n%s", out)
	}
	status := s.Status()
	if !status.Red || len(status.Attention) != 1 || !strings.Contains(status.Attention[0], "h3.test has no certificate") {
		t.Errorf("status: %+v", status)
	}
}

func TestCertificatesAreRenewedUnderTraffic(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{Validity: 18 * time.Second, NoRenewalInfo: true})
	s := serveACME(t, ca, acmeHead, answering("a.test"))
	s.log.wait(t, 1, issued, "host=a.test")
	serials := make(map[string]bool)
	for len(serials) < 3 {
		leaf, err := s.leaf("a.test")
		if err != nil {
			t.Fatalf("after %d certificates: %v", len(serials), err)
		}
		serials[leaf.SerialNumber.String()] = true
	}
	if n := ca.Orders("a.test"); n < 3 || n > 4 {
		t.Errorf("%d orders for 3 certificates", n)
	}
}

func TestARevokedCertificateIsReplacedAtOnce(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{Strict: true, RenewalInfoEvery: time.Second})
	s := serveACME(t, ca, acmeHead, answering("a.test"))
	s.log.wait(t, 1, issued, "host=a.test")
	s.log.wait(t, 1, "the CA says when to renew", "host=a.test")
	before, err := s.leaf("a.test")
	if err != nil {
		t.Fatal(err)
	}
	ca.Revoke(t, s.kept(t, "a.test"))
	s.log.wait(t, 2, issued, "host=a.test")
	leaf, err := s.leaf("a.test")
	if err != nil || leaf.Equal(before) {
		t.Errorf("the revoked certificate is still served: %v", err)
	}
}

func TestTheCAIsDown(t *testing.T) {
	t.Parallel()
	t.Run("at the start", func(t *testing.T) {
		t.Parallel()
		ca := acmetest.Start(t, acmetest.Options{Strict: true})
		ca.Down()
		s := serveACME(t, ca, acmeHead, answering("a.test"), "ROOT", ca.RootFile)
		s.log.wait(t, 2, "no certificate", "host=a.test", "can't be reached")
		s.returns(t, ca, 1)
		if n := ca.Orders("a.test"); n != 1 {
			t.Errorf("%d orders", n)
		}
	})
	for _, kind := range []acmetest.Kind{acmetest.KindNewAccount, acmetest.KindNewOrder, acmetest.KindChallenge, acmetest.KindFinalize, acmetest.KindCertificate} {
		t.Run("in an order, at "+string(kind), func(t *testing.T) {
			t.Parallel()
			ca := acmetest.Start(t, acmetest.Options{Strict: true})
			ca.OnRequest(func(r acmetest.Request) acmetest.Action {
				if r.Kind == kind {
					go ca.Down()
					return acmetest.Cut
				}
				return nil
			})
			s := serveACME(t, ca, acmeHead, answering("a.test"))
			s.log.wait(t, 1, "no certificate", "host=a.test")
			ca.OnRequest(nil)
			s.returns(t, ca, 1)
		})
	}
	t.Run("at renewal", func(t *testing.T) {
		t.Parallel()
		ca := acmetest.Start(t, acmetest.Options{Validity: 20 * time.Second, NoRenewalInfo: true})
		s := serveACME(t, ca, acmeHead, answering("a.test"))
		s.log.wait(t, 1, issued, "host=a.test")
		before, err := s.leaf("a.test")
		if err != nil {
			t.Fatal(err)
		}
		ca.Down()
		s.log.wait(t, 1, "no certificate", "host=a.test", "can't be reached")
		if leaf, err := s.leaf("a.test"); err != nil || !leaf.Equal(before) {
			t.Errorf("while the CA is down: %v", err)
		}
		if st := s.Status(); !st.Red {
			t.Errorf("less than a third of its life left and nobody to renew it, and status is not red: %+v", st)
		}
		s.returns(t, ca, 2)
		if st := s.Status(); st.Red {
			t.Errorf("status stays red: %+v", st)
		}
	})
}

// returns brings the CA back, and fails when it takes more than seconds until the count-th certificate is there.
func (r *running) returns(t *testing.T, ca *acmetest.CA, count int) {
	t.Helper()
	ca.Up(t)
	back := time.Now()
	r.log.wait(t, count, issued, "host=a.test")
	if took := time.Since(back); took > 8*time.Second {
		t.Errorf("it took %v from the CA's return", took)
	} else {
		t.Logf("it took %v from the CA's return", took)
	}
	if _, err := r.leaf("a.test"); err != nil {
		t.Error(err)
	}
}

func TestASecondIssuerIsTakenWhenTheFirstFails(t *testing.T) {
	t.Parallel()
	first := acmetest.Start(t, acmetest.Options{Strict: true})
	second := acmetest.Start(t, acmetest.Options{HTTPPort: first.HTTPPort, TLSPort: first.TLSPort, DNS: first.DNS, EAB: map[string][]byte{"kid-1": []byte("a key of thirty-two bytes or more")}})
	first.OnRequest(func(r acmetest.Request) acmetest.Action {
		if r.Kind == acmetest.KindNewOrder {
			return acmetest.Problem(429, "rateLimited", "too many certificates already issued for a.test", time.Hour)
		}
		return nil
	})
	head := strings.Replace(acmeHead, `"ROOT"}`, `"ROOT"}, {directory: "SECOND", ca: "ROOT2", eab: {kid: kid-1, hmac: `+base64.RawURLEncoding.EncodeToString([]byte("a key of thirty-two bytes or more"))+`}}`, 1)
	s := serveACME(t, second, head, answering("a.test"), append([]string{"SECOND", second.Directory, "ROOT2", second.RootFile}, of(first)...)...)
	s.log.wait(t, 1, issued, "host=a.test")
	if _, err := s.leaf("a.test"); err != nil {
		t.Error(err)
	}
	s.log.wait(t, 1, "no certificate", "too many certificates already issued", first.Directory)
	if st := s.Certificates()[0]; st.Source != second.Directory || st.Failing || st.Red || !st.NextTry.IsZero() {
		t.Errorf("%+v", st)
	}
	if _, out, _ := command(t, "certs", "--admin", s.server.admin.Addr().String()); !strings.Contains(out, "too many certificates already issued for a.test (rateLimited)") {
		t.Errorf("edge certs does not say why the first was passed over:\n%s", out)
	}
}

func TestNothingOfTheNetworkIsNeededToStart(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{Strict: true})
	s := serveACME(t, ca, acmeHead, answering("a.test", "b.test"))
	s.log.wait(t, 1, issued, "host=a.test")
	s.log.wait(t, 1, issued, "host=b.test")
	before, err := s.leaf("a.test")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	ca.Down()
	again := s.again()
	leaf, err := again.leaf("a.test")
	if err != nil || !leaf.Equal(before) {
		t.Errorf("after a restart without a CA: %v", err)
	}
	if n := ca.Orders("a.test"); n != 1 {
		t.Errorf("%d orders", n)
	}
}

// A wildcard is proved by DNS-01, through Route 53.
func TestAWildcardComesThroughRoute53(t *testing.T) {
	dns := acmetest.StartDNS(t)
	account := route53test.Start(t, route53test.Publish(t, dns))
	account.Setenv(t)
	zone := account.CreateZone(t, "wild.test", false)
	ca := acmetest.Start(t, acmetest.Options{Strict: true, RejectNonces: 20, DNS: dns})
	head := strings.Replace(acmeHead, "check_interval: 1s", "check_interval: 1s, dns: {route53: {}}", 1)
	s := serveACME(t, ca, head, answering("*.wild.test", "wild.test"))
	s.log.wait(t, 1, issued, "host=*.wild.test")
	s.log.wait(t, 1, issued, "host=wild.test")
	for _, name := range []string{"wild.test", "www.wild.test"} {
		if leaf, err := s.leaf(name); err != nil || leaf.VerifyHostname(name) != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left := account.TXT(t, zone, "_acme-challenge.wild.test"); len(left) > 0 {
		t.Errorf("records are left: %q", left)
	}
}

// The certificates of an issuer are served on until the one that takes its place has given some.
func TestAnotherIssuerTakesOverWithoutAGap(t *testing.T) {
	t.Parallel()
	first := acmetest.Start(t, acmetest.Options{Strict: true})
	second := acmetest.Start(t, acmetest.Options{Strict: true, HTTPPort: first.HTTPPort, TLSPort: first.TLSPort, DNS: first.DNS})
	s := serveACME(t, first, acmeHead, answering("a.test"))
	s.log.wait(t, 1, issued, "host=a.test")
	before, err := s.leaf("a.test")
	if err != nil {
		t.Fatal(err)
	}
	second.Down()
	s.reload(answering("a.test"), of(second)...)
	s.log.wait(t, 1, "no certificate", second.Directory)
	if leaf, err := s.leaf("a.test"); err != nil || !leaf.Equal(before) {
		t.Errorf("until the new issuer gives one: %v", err)
	}
	second.Up(t)
	s.log.wait(t, 2, issued, "host=a.test")
	s.roots = second.Roots(t)
	if _, err := s.leaf("a.test"); err != nil {
		t.Errorf("from the new issuer: %v", err)
	}
}

// The local CA stands in while the CA that is preferred to it is away, which is asked again as if there were no certificate.
func TestTheLocalCAStandsIn(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{Strict: true})
	ca.Down()
	head := strings.Replace(acmeHead, `"ROOT"}`, `"ROOT"}, local`, 1)
	s := serveACME(t, ca, head, answering("a.test"))
	s.log.wait(t, 1, issued, "host=a.test", "issuer=local")
	s.log.wait(t, 2, "no certificate", "host=a.test", "can't be reached")
	if st := s.Status(); !st.Red || !strings.Contains(strings.Join(st.Attention, ""), "can't be reached") {
		t.Errorf("nobody is told: %+v", st)
	}
	ca.Up(t)
	s.log.wait(t, 1, issued, "host=a.test", "issuer="+ca.Directory)
	if _, err := s.leaf("a.test"); err != nil {
		t.Error(err)
	}
	if st := s.Certificates()[0]; st.Source != ca.Directory || st.Error != "" {
		t.Errorf("%+v", st)
	}
}

// A CA that wants each of its certificates renewed at once does not get an order for each of its answers.
func TestACAThatWantsCertificatesRenewedForEver(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{Strict: true, RenewalInfoEvery: time.Second})
	ca.OnRequest(func(r acmetest.Request) acmetest.Action {
		if r.Kind != acmetest.KindRenewalInfo {
			return nil
		}
		return func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Retry-After", "1")
				io.WriteString(w, acmetest.RenewalWindow(time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)))
			})
		}
	})
	s := serveACME(t, ca, acmeHead, answering("a.test"))
	s.log.wait(t, 2, issued, "host=a.test")
	s.log.wait(t, 2, "the CA says when to renew", "host=a.test")
	asked := len(ca.Requests(acmetest.KindRenewalInfo))
	await(t, "more answers of the CA", func() bool { return len(ca.Requests(acmetest.KindRenewalInfo)) > asked+1 })
	if n := ca.OrdersTaken("a.test"); n > 2 {
		t.Errorf("%d orders", n)
	}
}
