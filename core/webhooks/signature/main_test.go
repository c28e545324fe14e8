package signature

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/onehost/edge/core/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// verifier makes one.
func verifier(t testing.TB, source config.Webhook, client *http.Client) *Verifier {
	t.Helper()
	v, err := New(source, client)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func scheme1(scheme, secret string) config.Webhook {
	return config.Webhook{Verify: config.Verify{Scheme: scheme}, Secret: secret}
}

// reason is why a request is refused, "" if it is not.
func reason(t testing.TB, v *Verifier, r *Request) Reason {
	t.Helper()
	_, err := v.Verify(context.Background(), r)
	return reasonOf(t, err)
}

func reasonOf(t testing.TB, err error) Reason {
	t.Helper()
	refusal, ok := errors.AsType[*Refusal](err)
	if err != nil && !ok {
		t.Fatalf("no refusal: %v", err)
	}
	if !ok {
		return ""
	}
	return refusal.Reason
}

func post(body string, fields ...string) *Request {
	r := &Request{Method: http.MethodPost, URL: "https://hooks.example.com/source", Header: http.Header{}, Body: []byte(body), At: time.Unix(1800000000, 0)}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	return r
}

func get(query string) *Request {
	return &Request{Method: http.MethodGet, URL: "https://hooks.example.com/source?" + query, Header: http.Header{}}
}

// A provider is an https server that all names lead to, with an authority of its own.
type provider struct {
	ca     *x509.Certificate
	caKey  crypto.Signer
	client *http.Client

	mu     sync.Mutex
	asked  []string // URLs
	answer http.HandlerFunc
}

func newProvider(t testing.TB, answer http.HandlerFunc) *provider {
	t.Helper()
	p := &provider{answer: answer}
	p.caKey = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	p.ca, _ = p.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true}, p.caKey)
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	leaf, _ := p.issue(t, &x509.Certificate{DNSNames: []string{"sns.us-west-2.amazonaws.com", "api.paypal.com", "elsewhere.example"}}, key)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked = append(p.asked, "https://"+r.Host+r.URL.String())
		p.mu.Unlock()
		p.answer(w, r)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // names that it has no certificate for are asked for, too
	server.StartTLS()
	roots := x509.NewCertPool()
	roots.AddCert(p.ca)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
		},
	}
	p.client = &http.Client{Transport: transport}
	t.Cleanup(func() { transport.CloseIdleConnections(); server.Close() })
	return p
}

// issue makes a certificate of the provider's authority, and its PEM.
func (p *provider) issue(t testing.TB, template *x509.Certificate, key crypto.Signer) (*x509.Certificate, []byte) {
	t.Helper()
	template.SerialNumber = must(rand.Int(rand.Reader, big.NewInt(1<<62)))
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Unix(1900000000, 0)
	}
	parent := p.ca
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), p.caKey)
	if err != nil {
		t.Fatal(err)
	}
	return must(x509.ParseCertificate(der)), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func (p *provider) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.asked...)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// rsaKey is one for all tests: they take long to make.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })

// says answers with a text.
func says(text []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) }
}

// sumOf is a keyed hash.
func sumOf(k *macKey, text string) []byte {
	s := k.states.Get().(*macState)
	s.Reset()
	s.Write([]byte(text))
	return s.Sum(nil)
}

// signRSA signs with the tests' key.
func signRSA(text []byte) []byte {
	sum := sha256.Sum256(text)
	return must(rsa.SignPKCS1v15(rand.Reader, rsaKey(), crypto.SHA256, sum[:]))
}
