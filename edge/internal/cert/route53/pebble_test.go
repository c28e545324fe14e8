package route53

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"github.com/onehost/edge/edge/internal/cert/acmetest"
	"github.com/onehost/edge/edge/internal/cert/route53/route53test"
)

// A certificate for a name and its wildcard has two authorisations with one TXT name, both looked at by the CA.
func TestACAIssuesANameAndItsWildcard(t *testing.T) {
	zone, id := zoneFor(t)
	ca := acmetest.Start(t, acmetest.Options{})
	account.OnChange(t, route53test.Publish(t, ca.DNS))
	client := acmez.Client{
		Client:           &acme.Client{Directory: ca.Directory, HTTPClient: trusting(t, ca.RootFile)},
		ChallengeSolvers: map[string]acmez.Solver{acme.ChallengeTypeDNS01: newSolver(t, Options{})},
	}
	accountKey, certKey := newKey(t), newKey(t)
	user, err := client.NewAccount(t.Context(), acme.Account{PrivateKey: accountKey, TermsOfServiceAgreed: true})
	if err != nil {
		t.Fatal(err)
	}
	chains, err := client.ObtainCertificateForSANs(t.Context(), user, certKey, []string{zone, "*." + zone})
	if err != nil || len(chains) == 0 {
		t.Fatal(chains, err)
	}
	if issued := ca.Issued("*." + zone); len(issued) != 1 || issued[0].VerifyHostname("www."+zone) != nil || issued[0].VerifyHostname(zone) != nil {
		t.Errorf("issued were %v", issued)
	}
	expect(t, id, "_acme-challenge."+zone)
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func trusting(t *testing.T, rootFile string) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(rootFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}, Timeout: 30 * time.Second}
	t.Cleanup(client.CloseIdleConnections)
	return client
}
