package acmetest_test

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"
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

func TestAnAccountNeedsTheKeyItIsBoundBy(t *testing.T) {
	t.Parallel()
	key := []byte("zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W")
	ca := acmetest.Start(t, acmetest.Options{Strict: true, EAB: map[string][]byte{"kid-1": key}})
	for name, test := range map[string]struct {
		eab  *acme.EAB
		want string
	}{
		"no key":        {nil, acme.ProblemTypeExternalAccountRequired},
		"the right key": {&acme.EAB{KeyID: "kid-1", MACKey: base64.RawURLEncoding.EncodeToString(key)}, ""},
		"another key":   {&acme.EAB{KeyID: "kid-1", MACKey: base64.RawURLEncoding.EncodeToString(key[1:])}, acme.ProblemTypeUnauthorized},
	} {
		err := register(t, ca, test.eab)
		var problem acme.Problem
		errors.As(err, &problem)
		if problem.Type != test.want || (err != nil) != (test.want != "") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARevokedCertificateIsDueAtOnce(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{AlwaysValid: true, RenewalInfoEvery: time.Second})
	c := newClient(t, ca, "http-01", nothing{})
	got := c.obtain(t, "a.test")
	due := func() acme.RenewalInfo {
		t.Helper()
		info, err := c.GetRenewalInfo(ctx(t), got.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	if start := due().SuggestedWindow.Start; start.Before(time.Now()) {
		t.Errorf("a new certificate is due since %v", start)
	}
	start := time.Now().Add(10 * 24 * time.Hour).Truncate(time.Second)
	ca.SetRenewalInfo(t, got.Leaf, acmetest.RenewalWindow(start, start.Add(time.Hour)))
	if info := due(); !info.SuggestedWindow.Start.Equal(start) || !info.SuggestedWindow.End.Equal(start.Add(time.Hour)) {
		t.Errorf("the window that was set is %+v", info.SuggestedWindow)
	}
	ca.Revoke(t, got)
	if end := due().SuggestedWindow.End; end.After(time.Now()) {
		t.Errorf("a revoked certificate is due until %v", end)
	}
	if again := due().RetryAfter; again == nil || time.Until(*again) > 2*time.Second {
		t.Errorf("the next look is at %v", again)
	}
	if len(ca.Requests(acmetest.KindRenewalInfo)) == 0 {
		t.Error("the gate saw nobody look at the window")
	}
}

func TestACAWithoutRenewalInfoSaysNothingOfIt(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{NoRenewalInfo: true})
	client := acme.Client{Directory: ca.Directory, HTTPClient: trusting(t, ca.RootFile)}
	if directory, err := client.GetDirectory(ctx(t)); err != nil || directory.RenewalInfo != "" || directory.NewOrder == "" {
		t.Errorf("the directory is %+v: %v", directory, err)
	}
}

func TestRefusedNamesHoldUpNobodyElse(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{AlwaysValid: true, Refuse: []string{"bad.test"}})
	c := newClient(t, ca, "http-01", nothing{})
	_, err := c.try(t, "bad.test")
	var problem acme.Problem
	if !errors.As(err, &problem) || problem.Type != acme.ProblemTypeRejectedIdentifier {
		t.Errorf("the client heard %v", err)
	}
	c.obtain(t, "good.test")
}

func TestTwoCAsShareANameServerAndNoRoot(t *testing.T) {
	t.Parallel()
	names := acmetest.StartDNS(t)
	one := acmetest.Start(t, acmetest.Options{DNS: names})
	two := acmetest.Start(t, acmetest.Options{DNS: names})
	for _, ca := range []*acmetest.CA{one, two} {
		newClient(t, ca, "dns-01", dns01{t, names}).obtain(t, "a.test")
	}
	leaf := two.Issued("a.test")[0]
	if one.Roots(t).Equal(two.Roots(t)) || len(one.Issued("a.test")) != 1 || leaf.Equal(one.Issued("a.test")[0]) {
		t.Error("the two CAs are one")
	}
	if _, err := trusting(t, one.RootFile).Get(two.Directory); err == nil {
		t.Error("who trusts one CA's API trusts the other's")
	}
}
