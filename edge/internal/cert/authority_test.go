package cert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An authority issues certificates for tests.
type authority struct {
	t   testing.TB
	key *ecdsa.PrivateKey
	own *x509.Certificate
	up  [][]byte // the certificates to be sent beside one that it issues
}

// newAuthority makes a root.
func newAuthority(t testing.TB, name string) *authority {
	a := &authority{t: t, key: newKey(t)}
	a.own = a.sign(authorityTemplate(name), a.key, nil)
	return a
}

// below makes an authority that this one vouches for.
func (a *authority) below(name string) *authority {
	b := &authority{t: a.t, key: newKey(a.t)}
	b.own = a.sign(authorityTemplate(name), b.key, a.own)
	b.up = append([][]byte{b.own.Raw}, a.up...)
	return b
}

func authorityTemplate(name string) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
}

// sign makes the certificate of key; without a parent it is signed by key itself.
func (a *authority) sign(template *x509.Certificate, key *ecdsa.PrivateKey, parent *x509.Certificate) *x509.Certificate {
	a.t.Helper()
	template.SerialNumber = newSerial()
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(365 * 24 * time.Hour)
	}
	template.NotBefore = template.NotAfter.Add(-2 * 365 * 24 * time.Hour)
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

func (a *authority) issue(template *x509.Certificate) tls.Certificate {
	a.t.Helper()
	key := newKey(a.t)
	c := a.sign(template, key, a.own)
	return tls.Certificate{Certificate: append([][]byte{c.Raw}, a.up...), PrivateKey: key, Leaf: c}
}

func (a *authority) serverCertificate(names ...string) tls.Certificate {
	return a.issue(&x509.Certificate{DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

func (a *authority) clientCertificate(name string) tls.Certificate {
	return a.issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

func (a *authority) pem() []byte { return pemOf(a.own) }

func newKey(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// asAuthority has the holder of c issue certificates, allowed or not.
func (a *authority) asAuthority(c tls.Certificate) *authority {
	return &authority{t: a.t, key: c.PrivateKey.(*ecdsa.PrivateKey), own: c.Leaf, up: c.Certificate}
}

// pairFile writes a certificate and its key into one file.
func pairFile(t testing.TB, c tls.Certificate) string {
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pair.pem")
	data := append(pemOf(c.Leaf), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
