package acmetest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"github.com/onehost/edge/edge/internal/cert/acmetest"
)

// client is an ACME client with an account, as a user of the package has one.
type client struct {
	*acmez.Client
	account acme.Account
}

func newClient(t *testing.T, ca *acmetest.CA, challenge string, solver acmez.Solver) *client {
	t.Helper()
	c := &client{Client: &acmez.Client{
		Client:           &acme.Client{Directory: ca.Directory, HTTPClient: trusting(t, ca.RootFile)},
		ChallengeSolvers: map[string]acmez.Solver{challenge: solver},
	}}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err == nil {
		c.account, err = c.NewAccount(ctx(t), acme.Account{PrivateKey: key, TermsOfServiceAgreed: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// register asks for an account, bound to an account elsewhere by eab unless that is nil.
func register(t *testing.T, ca *acmetest.CA, eab *acme.EAB) error {
	t.Helper()
	client := &acme.Client{Directory: ca.Directory, HTTPClient: trusting(t, ca.RootFile)}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	account := acme.Account{PrivateKey: key, TermsOfServiceAgreed: true}
	if eab != nil {
		if err := account.SetExternalAccountBinding(ctx(t), client, *eab); err != nil {
			t.Fatal(err)
		}
	}
	_, err = client.NewAccount(ctx(t), account)
	return err
}

func (c *client) obtain(t *testing.T, names ...string) tls.Certificate {
	t.Helper()
	got, err := c.try(t, names...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (c *client) try(t *testing.T, names ...string) (tls.Certificate, error) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	chains, err := c.ObtainCertificateForSANs(ctx(t), c.account, key, names)
	if err != nil {
		return tls.Certificate{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tls.X509KeyPair(chains[0].ChainPEM, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	return got, nil
}

func intermediates(t *testing.T, certificate tls.Certificate) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	for _, der := range certificate.Certificate[1:] {
		intermediate, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		pool.AddCert(intermediate)
	}
	return pool
}

func trusting(t *testing.T, rootFile string) *http.Client {
	t.Helper()
	text, err := os.ReadFile(rootFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func ctx(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// http01 answers HTTP-01 challenges.
type http01 struct{ answers sync.Map }

func serveHTTP01(t *testing.T, port int) *http01 {
	t.Helper()
	solver := &http01{}
	listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: solver}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Close()
		<-ended
	})
	return solver
}

func (s *http01) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, known := s.answers.Load(r.URL.Path)
	if !known {
		http.NotFound(w, r)
		return
	}
	w.Write([]byte(answer.(string)))
}

func (s *http01) Present(_ context.Context, c acme.Challenge) error {
	s.answers.Store(c.HTTP01ResourcePath(), c.KeyAuthorization)
	return nil
}

func (s *http01) CleanUp(_ context.Context, c acme.Challenge) error {
	s.answers.Delete(c.HTTP01ResourcePath())
	return nil
}

// dns01 answers DNS-01 challenges.
type dns01 struct {
	t   *testing.T
	dns *acmetest.DNS
}

func (s dns01) Present(_ context.Context, c acme.Challenge) error {
	s.dns.SetTXT(s.t, c.DNS01TXTRecordName(), c.DNS01KeyAuthorization())
	return nil
}

func (s dns01) CleanUp(_ context.Context, c acme.Challenge) error {
	s.dns.SetTXT(s.t, c.DNS01TXTRecordName())
	return nil
}

// nothing leaves challenges alone.
type nothing struct{}

func (nothing) Present(context.Context, acme.Challenge) error { return nil }
func (nothing) CleanUp(context.Context, acme.Challenge) error { return nil }
