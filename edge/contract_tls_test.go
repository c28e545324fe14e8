package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/cert"
)

// pemFiles writes a self-signed certificate for names and its key, and returns the two files. A second call replaces them.
func pemFiles(t *testing.T, dir, serial string, names ...string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: serial}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write("own.crt", "CERTIFICATE", der), write("own.key", "PRIVATE KEY", private)
}

// handshake returns the certificate that a server name gets; "" sends none.
func (r *running) handshake(serverName string) (*x509.Certificate, error) {
	c, err := tls.Dial("tcp", r.listeners.HTTPS[0].Addr().String(), &tls.Config{ServerName: serverName, InsecureSkipVerify: true})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0], nil
}

const manyCertificates = `
hosts:
  localhost: {aliases: [www.localhost], default: {respond: {body: named}}}
  other.localhost: {default: {respond: {body: other}}}
  plain.localhost: {tls: off, default: {respond: {body: plain}}}
  127.0.0.1: {default: {respond: {body: address}}}
  "*": {tls: {cert: CERT, key: KEY}, default: {respond: {body: rest}}}
`

// TestCertificateOfEachName holds which certificate a handshake gets, and which hosts are served under it.
func TestCertificateOfEachName(t *testing.T) {
	certFile, keyFile := pemFiles(t, t.TempDir(), "own", "rest.example")
	s := serve(t, manyCertificates, "CERT", certFile, "KEY", keyFile)
	for _, test := range []struct {
		name, sni string
		covers    string // a name that the certificate is good for, "" for none of ours
		host      string
		status    int
		body      string
	}{
		{"a host", "localhost", "localhost", "localhost", 200, "named"},
		{"any case", "LOCALHOST", "localhost", "LocalHost", 200, "named"},
		{"an alias has one of its own", "www.localhost", "www.localhost", "www.localhost", 301, ""},
		{"another host of ours", "localhost", "localhost", "other.localhost", 421, ""},
		{"an alias under its host's", "localhost", "localhost", "www.localhost", 421, ""},
		{"a plain host under another's", "localhost", "localhost", "plain.localhost", 421, ""},
		{"no name, an address that is a host", "", "127.0.0.1", "127.0.0.1", 200, "address"},
		{"no name, another host", "", "127.0.0.1", "localhost", 421, ""},
		{"all others", "rest.example", "rest.example", "rest.example", 200, "rest"},
		{"all others, another of them", "rest.example", "rest.example", "more.example", 200, "rest"},
		{"all others, a host of ours", "rest.example", "rest.example", "localhost", 421, ""},
		{"a host of ours, all others", "localhost", "localhost", "rest.example", 421, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			leaf, err := s.handshake(test.sni)
			if err != nil {
				t.Fatal(err)
			}
			if err := leaf.VerifyHostname(test.covers); err != nil {
				t.Error(err)
			}
			c, err := tls.Dial("tcp", s.listeners.HTTPS[0].Addr().String(), &tls.Config{ServerName: test.sni, InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			answer, body := says(t, c, "GET / HTTP/1.1\r\nHost: "+test.host+"\r\n\r\n")
			if answer.StatusCode != test.status || test.body != "" && body != test.body {
				t.Errorf("%s %s", answer.Status, body)
			}
		})
	}
}

// TestNoCertificate holds who is refused in the handshake, where there is no host "*".
func TestNoCertificate(t *testing.T) {
	s := serve(t, "hosts:\n  localhost: {default: {respond: {body: x}}}\n  plain.localhost: {tls: off, default: {respond: {body: plain}}}\n")
	for _, sni := range []string{"other.localhost", "plain.localhost", ""} {
		if _, err := s.handshake(sni); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("%q: %v", sni, err)
		}
	}
	old, err := net.Dial("tcp", s.listeners.HTTPS[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := tls.Client(old, &tls.Config{ServerName: "localhost", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}).Handshake(); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
}

// TestOwnFilesAreReplacedWhileServing renews PEM files as certbot would: the new ones are served without a reload, and half of a
// pair changes nothing.
func TestOwnFilesAreReplacedWhileServing(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := pemFiles(t, dir, "first", "own.localhost")
	s := serve(t, "hosts: {own.localhost: {tls: {cert: CERT, key: KEY}, default: {respond: {body: x}}}}\n", "CERT", certFile, "KEY", keyFile)
	await := func(what string, done func() bool) {
		t.Helper()
		for deadline := time.Now().Add(3 * cert.FileCheckInterval); !done(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("waited in vain for " + what)
			}
		}
	}
	served := func() string {
		leaf, err := s.handshake("own.localhost")
		if err != nil {
			t.Fatal(err)
		}
		return leaf.Subject.CommonName
	}
	if got := served(); got != "first" {
		t.Fatalf("%q is served", got)
	}
	os.WriteFile(keyFile, []byte("half written"), 0o600)
	await("the error to be seen", func() bool { return s.Certificates()[0].Error != "" })
	if got := served(); got != "first" {
		t.Errorf("with a broken key %q is served", got)
	}
	if _, out, _ := command(t, "certs", "-c", s.file); !strings.Contains(out, "own.key") {
		t.Errorf("edge certs says nothing of it:\n%s", out)
	}
	pemFiles(t, dir, "second", "own.localhost")
	await("the new certificate", func() bool { return served() == "second" })
}
