//go:build linux

package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// hosts are the names that every server has to know; the load asks for the first.
var hosts = []string{"localhost", "a.localhost", "b.localhost"}

// writeMaterial puts into folder what all servers share: certificate, key, the files that are served, an upload.
func writeMaterial(folder string) error {
	files := filepath.Join(folder, "www", "static")
	if err := os.MkdirAll(files, 0o755); err != nil {
		return err
	}
	random := make([]byte, 1<<20) // so that nobody gains by compressing it
	_, _ = rand.Read(random)      // never fails
	return errors.Join(
		writeCertificate(folder),
		os.WriteFile(filepath.Join(files, "1k.txt"), bytes.Repeat([]byte("a"), 1<<10), 0o600),
		os.WriteFile(filepath.Join(files, "1m.bin"), random, 0o600),
		os.WriteFile(filepath.Join(folder, "upload"), bytes.Repeat([]byte("b"), 10<<20), 0o600),
	)
}

// writeCertificate makes cert.pem, key.pem, and pair.pem, which is both: self-signed, ECDSA P-256, as most are today.
func writeCertificate(folder string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: hosts[0]}, DNSNames: hosts,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 3, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	return errors.Join(
		os.WriteFile(filepath.Join(folder, "cert.pem"), certificate, 0o600),
		os.WriteFile(filepath.Join(folder, "key.pem"), private, 0o600),
		os.WriteFile(filepath.Join(folder, "pair.pem"), append(certificate, private...), 0o600),
	)
}

// trusting is a client's terms: the certificates in file, TLS 1.3, X25519, and never a session of before.
func trusting(file string) (*tls.Config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, errors.New(file + ": no certificate")
	}
	return &tls.Config{
		RootCAs: pool, ServerName: hosts[0], NextProtos: []string{"http/1.1"},
		MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519},
	}, nil
}
