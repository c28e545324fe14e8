package cert

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net"
	"testing"
	"time"
)

// given is what a CA makes of a key.
func given(t testing.TB, key *ecdsa.PrivateKey, name string, begins, ends time.Duration) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: newSerial(), NotBefore: time.Now().Add(begins), NotAfter: time.Now().Add(ends)}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func requestFor(t testing.TB, key *ecdsa.PrivateKey, names ...string) *x509.CertificateRequest {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: names}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func TestWhatACAGivesIsLookedAt(t *testing.T) {
	key := newKey(t)
	csr := requestFor(t, key, "a.test")
	good := given(t, key, "a.test", -time.Hour, time.Hour)
	over := given(t, key, "a.test", -2*time.Hour, -time.Hour)
	for what, test := range map[string]struct {
		leaf, before *x509.Certificate
		ok           bool
	}{
		"what was asked for":                     {good, nil, true},
		"in place of a good one":                 {given(t, key, "a.test", 0, time.Hour), good, true},
		"another name":                           {given(t, key, "b.test", -time.Hour, time.Hour), nil, false},
		"another key":                            {given(t, newKey(t), "a.test", -time.Hour, time.Hour), nil, false},
		"over, in place of a good one":           {over, good, false},
		"not begun, in place of a good one":      {given(t, key, "a.test", time.Hour, 2*time.Hour), good, false},
		"over, as far as the clock here can say": {over, over, true},
		"over, and there is none":                {over, nil, true},
	} {
		if err := usable(pemOf(test.leaf), csr, test.before); (err == nil) != test.ok {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := usable(bytes.Repeat(pemOf(good), 1000), csr, nil); err == nil {
		t.Error("a chain of a thousand certificates is taken")
	}
}

func FuzzUsable(f *testing.F) {
	key := newKey(f)
	csr := requestFor(f, key, "a.test")
	f.Add(pemOf(given(f, key, "a.test", -time.Hour, time.Hour)))
	f.Add(pemOf(given(f, key, "127.0.0.1", -time.Hour, time.Hour)))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, chain []byte) {
		if usable(chain, csr, nil) != nil {
			return
		}
		block, _ := pem.Decode(chain)
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil || leaf.VerifyHostname("a.test") != nil || !key.PublicKey.Equal(leaf.PublicKey) {
			t.Errorf("taken: %q", chain)
		}
	})
}
