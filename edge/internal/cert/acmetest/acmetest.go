// Package acmetest runs a real ACME server for tests: Pebble, the test CA of Let's Encrypt, and pebble-challtestsrv, the name
// server that goes with it. Only tests import it.
//
// Both are tools of go.mod, built by `go tool` into Go's build cache (seconds the first time, a fifth of a second after), and run
// as processes that end with the test. Each CA is on ports of its own, so that tests can run in parallel and have several.
// Ports are held by a socket of ours for as long as the test runs (see Port), so none is lost between being found and
// being used, or while a server is down.
//
// Clients do not talk to Pebble but to a gate before it, an HTTPS server whose certificate is signed by CA.RootFile. It goes
// down and up without Pebble forgetting anything (it keeps all in memory), counts requests, and fails those that the test
// wants to see failing.
//
//	func TestACertificateIsObtainedWhenTheCAComesBack(t *testing.T) {
//		ca := acmetest.Start(t, acmetest.Options{Strict: true})
//		ca.Down()
//		edge := serve(t, listenHTTP(ca.HTTPPort), listenHTTPS(ca.TLSPort), issuer(ca.Directory, ca.RootFile))
//		ca.Up(t)
//		leaf := edge.waitForCertificate(t, "a.test")
//		verify(t, leaf, ca.Roots(t))
//		if n := ca.Orders("a.test"); n != 1 { … }
//	}
//
// What Pebble does that a CA in production does not, and what clients see of it:
//   - It validates by connecting to the A record of the name (127.0.0.1 here, for every name) at HTTPPort and TLSPort.
//   - It sends no Retry-After unless Options.RetryAfter is set, and is done with an order in milliseconds.
//   - It does not look at CAA records and has no rate limits: Problem plays those.
//   - Its renewal window (ARI, RFC 9773) is two days wide around two thirds of the life, cut to that life: a certificate of a minute is
//     to be renewed at any moment of it. SetRenewalInfo and NoRenewalInfo change that. A revoked certificate is due at once.
//   - It asks for six hours between two looks at the renewal window: see Options.RenewalInfoEvery.
package acmetest

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// Options say what kind of CA is wanted. The zero value is a friendly one.
type Options struct {
	// HTTPPort and TLSPort are where the CA connects to for HTTP-01 and TLS-ALPN-01. With 0 a port is held for them: see CA.
	HTTPPort, TLSPort int

	// Strict refuses what the next versions of Let's Encrypt's API will refuse (pebble -strict).
	Strict bool
	// RejectNonces is how many of a hundred good nonces are called bad.
	RejectNonces int
	// ReuseAuthz is how many of a hundred times a valid authorisation is used for the next order of the same account.
	ReuseAuthz int
	// AlwaysValid makes every challenge succeed without a look at it.
	AlwaysValid bool
	// EAB are the keys for external account binding (RFC 8555 section 7.3.4) by their ids. With one, accounts need it.
	EAB map[string][]byte
	// Validity is the life of certificates, in whole seconds. 0 is ninety days.
	Validity time.Duration
	// RetryAfter is what the CA asks clients to wait between polls of an order or an authorisation, in whole seconds. 0 leaves it to them.
	RetryAfter time.Duration
	// Refuse are names for which every order is refused (rejectedIdentifier), those below them included.
	Refuse []string

	// NoRenewalInfo makes it a CA without ARI (RFC 9773).
	NoRenewalInfo bool
	// RenewalInfoEvery is how long clients may keep a renewal window, in whole seconds. 0 is Pebble's six hours.
	RenewalInfoEvery time.Duration

	// DNS is the name server to ask. With nil the CA has its own.
	DNS *DNS
}

// CA is a running ACME server. Its methods can be called by several goroutines at once.
type CA struct {
	Directory string // the URL that clients are given
	RootFile  string // a PEM file with the root that the certificate of Directory is signed by
	DNS       *DNS
	// HTTPPort and TLSPort are where the CA connects to, at the address that a name has. When they were not chosen by
	// Options they are held (see Port), for listeners to be bound to 127.0.0.1.
	HTTPPort, TLSPort int

	pebble     *process
	gate       *gate
	api        string // Pebble itself, past the gate
	management string
	client     *http.Client // trusts RootFile
}

// Start starts a CA that ends with the test, and returns when it answers.
func Start(t testing.TB, o Options) *CA {
	t.Helper()
	file, err := pebblePath()
	if err != nil {
		t.Fatal(err)
	}
	ca := &CA{DNS: o.DNS, HTTPPort: o.HTTPPort, TLSPort: o.TLSPort}
	if ca.DNS == nil {
		ca.DNS = StartDNS(t)
	}
	for _, port := range []*int{&ca.HTTPPort, &ca.TLSPort} {
		if *port == 0 {
			*port = Port(t)
		}
	}
	id := newIdentity(t)
	ca.RootFile = id.rootFile
	ca.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: id.roots}}, Timeout: 10 * time.Second}
	t.Cleanup(ca.client.CloseIdleConnections)

	api, management := localhost(Port(t)), localhost(Port(t))
	ca.api, ca.management = "https://"+api, "https://"+management
	args := []string{"-config", writeConfig(t, o, ca, id, api, management), "-dnsserver", ca.DNS.Addr}
	if o.Strict {
		args = append(args, "-strict")
	}
	ca.pebble = start(t, environment(o), file, args...)
	for _, address := range []string{ca.api + "/dir", ca.management + "/roots/0"} {
		ca.pebble.until(t, func(ctx context.Context) error {
			_, err := get(ctx, ca.client, address)
			return err
		})
	}
	ca.gate = newGate(t, api, id.certificate, id.roots, ca.pebble.output, o)
	// acmez remembers directories by their URL, and a port is used again: no two CAs of one process have one URL.
	ca.Directory = "https://" + ca.gate.addr + "/dir?" + rand.Text()
	return ca
}

func environment(o Options) []string {
	env := []string{
		"PEBBLE_VA_NOSLEEP=1",
		"PEBBLE_WFE_NONCEREJECT=" + strconv.Itoa(o.RejectNonces),
		"PEBBLE_AUTHZREUSE=" + strconv.Itoa(o.ReuseAuthz),
	}
	if o.AlwaysValid {
		env = append(env, "PEBBLE_VA_ALWAYS_VALID=1")
	}
	return env
}

// writeConfig writes Pebble's configuration file.
func writeConfig(t testing.TB, o Options, ca *CA, id identity, api, management string) string {
	t.Helper()
	type profile struct {
		Description    string
		ValidityPeriod uint64 // seconds; 0 is Pebble's default
	}
	keys := map[string]string{}
	for kid, key := range o.EAB {
		keys[kid] = base64.RawURLEncoding.EncodeToString(key)
	}
	seconds := int(o.RetryAfter.Seconds())
	text, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": api, "managementListenAddress": management,
		"certificate": id.certFile, "privateKey": id.keyFile, "keyAlgorithm": "ecdsa",
		"httpPort": ca.HTTPPort, "tlsPort": ca.TLSPort,
		"externalAccountBindingRequired": len(keys) > 0, "externalAccountMACKeys": keys,
		"domainBlocklist": o.Refuse,
		"profiles":        map[string]profile{"default": {Description: "the only one", ValidityPeriod: uint64(o.Validity.Seconds())}},
		"retryAfter":      map[string]int{"authz": seconds, "order": seconds},
	}})
	file := filepath.Join(t.TempDir(), "pebble.json")
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// Down refuses connections and cuts those that are open, until Up. Pebble goes on, and remembers all.
func (ca *CA) Down() { ca.gate.down() }

// Up ends Down.
func (ca *CA) Up(t testing.TB) {
	t.Helper()
	if err := ca.gate.up(); err != nil {
		t.Error(err)
	}
}

// OnRequest asks hook what becomes of each request that FailNext has left alone, instead of the hook before; with nil they
// all pass. It may be called for several requests at once. A hook that blocks holds up its request only; Hold does
// it so that the clean-up does not have to wait for it.
func (ca *CA) OnRequest(hook func(Request) Action) {
	ca.gate.mu.Lock()
	defer ca.gate.mu.Unlock()
	ca.gate.hook = hook
}

// FailNext does an action to the next n requests of a kind.
func (ca *CA) FailNext(n int, kind Kind, action Action) {
	ca.gate.mu.Lock()
	defer ca.gate.mu.Unlock()
	ca.gate.fails = append(ca.gate.fails, &failing{n, kind, action})
}

// Requests returns what the gate has seen of the given kinds, of all if none is given, in the order of arrival. Those that
// the gate failed are among them.
func (ca *CA) Requests(kinds ...Kind) []Request {
	ca.gate.mu.Lock()
	defer ca.gate.mu.Unlock()
	var found []Request
	for _, r := range ca.gate.requests {
		if len(kinds) == 0 || slices.Contains(kinds, r.Kind) {
			found = append(found, *r)
		}
	}
	return found
}

// Orders counts the requests for a new order that named a name, whatever became of them. An order that is sent again because
// of a bad nonce counts again; see OrdersTaken.
func (ca *CA) Orders(name string) int {
	return ca.count(name, func(Request) bool { return true })
}

// OrdersTaken counts the orders for a name that Pebble accepted.
func (ca *CA) OrdersTaken(name string) int {
	return ca.count(name, func(r Request) bool { return r.Status == http.StatusCreated })
}

func (ca *CA) count(name string, counts func(Request) bool) int {
	n := 0
	for _, r := range ca.Requests(KindNewOrder) {
		if r.For(name) && counts(r) {
			n++
		}
	}
	return n
}

// Issued returns the certificates for a name that were downloaded, oldest first.
func (ca *CA) Issued(name string) []*x509.Certificate {
	ca.gate.mu.Lock()
	defer ca.gate.mu.Unlock()
	var found []*x509.Certificate
	for _, leaf := range ca.gate.issued {
		if slices.Contains(leaf.DNSNames, name) {
			found = append(found, leaf)
		}
	}
	return found
}

// Roots returns the root that this CA issues under, another for every CA. It is not that of RootFile.
func (ca *CA) Roots(t testing.TB) *x509.CertPool {
	t.Helper()
	text, err := get(t.Context(), ca.client, ca.management+"/roots/0")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatalf("Pebble's root is no certificate: %q", text)
	}
	return roots
}

// Revoke revokes a certificate by its own key (RFC 8555 section 7.6), as somebody who found that would. It goes past the gate.
// From then on its renewal window is the half hour that ended half an hour ago, as with Let's Encrypt: Pebble's own is
// a single second, which acmez takes for malformed.
func (ca *CA) Revoke(t testing.TB, certificate tls.Certificate) {
	t.Helper()
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	key, ok := certificate.PrivateKey.(crypto.Signer)
	if !ok {
		t.Fatalf("a %T does not sign", certificate.PrivateKey)
	}
	client := &acme.Client{Directory: ca.api + "/dir", HTTPClient: ca.client}
	if err := client.RevokeCertificate(t.Context(), acme.Account{}, leaf, key, acme.ReasonKeyCompromise); err != nil {
		t.Fatal(err)
	}
	ca.SetRenewalInfo(t, leaf, RenewalWindow(time.Now().Add(-time.Hour), time.Now().Add(-30*time.Minute)))
}

// SetRenewalInfo makes the CA answer with body, even if it is none, when it is asked when to renew a certificate (RFC 9773).
func (ca *CA) SetRenewalInfo(t testing.TB, leaf *x509.Certificate, body string) {
	t.Helper()
	text, err := json.Marshal(map[string]string{
		"Certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})),
		"ARIResponse": body,
	})
	if err == nil {
		err = post(t.Context(), ca.client, ca.management+"/set-renewal-info/", text)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// RenewalWindow is a body for SetRenewalInfo.
func RenewalWindow(start, end time.Time) string {
	return fmt.Sprintf(`{"suggestedWindow":{"start":%q,"end":%q}}`, start.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339))
}
