package acmetest_test

import (
	"crypto/x509"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/onehost/edge/edge/internal/cert/acmetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestACertificateIsIssuedByHTTP01(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{Strict: true, RejectNonces: 20, Validity: time.Minute})
	c := newClient(t, ca, "http-01", serveHTTP01(t, ca.HTTPPort))
	got := c.obtain(t, "a.test", "b.test")

	leaf := got.Leaf
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: "b.test", Roots: ca.Roots(t), Intermediates: intermediates(t, got)}); err != nil {
		t.Error(err)
	}
	if life := leaf.NotAfter.Sub(leaf.NotBefore); life < 58*time.Second || life > time.Minute {
		t.Errorf("the certificate lives %v, not a minute", life)
	}
	if issued := ca.Issued("a.test"); len(issued) != 1 || !issued[0].Equal(leaf) {
		t.Errorf("the gate saw %d certificates", len(issued))
	}
	if n := ca.OrdersTaken("b.test"); n != 1 {
		t.Errorf("%d orders were taken", n)
	}
	if n := len(ca.Requests(acmetest.KindFinalize)); n < 1 {
		t.Error("nobody finalized anything")
	}
	for _, r := range ca.Requests(acmetest.KindUnknown) {
		t.Errorf("nobody knows what %s is", r.Path)
	}
}

func TestAWildcardIsIssuedByDNS01(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{})
	c := newClient(t, ca, "dns-01", dns01{t, ca.DNS})
	if leaf := c.obtain(t, "*.a.test").Leaf; leaf.VerifyHostname("www.a.test") != nil {
		t.Errorf("the certificate is for %v", leaf.DNSNames)
	}
}
