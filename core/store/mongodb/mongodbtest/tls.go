package mongodbtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// TLS is what a client of a set with TLS needs. The files are PEM, and go with the set.
type TLS struct {
	CAFile        string // who signed the servers' certificate
	ClientFile    string // a client's certificate and its key
	ClientSubject string // whose certificate that is, as MongoDB names its user (RFC 2253)

	serverFile string
}

func (t *TLS) args() []string {
	return []string{"--tlsMode", "requireTLS", "--tlsCAFile", t.CAFile, "--tlsCertificateKeyFile", t.serverFile, "--tlsAllowConnectionsWithoutCertificates"}
}

func makeTLS(folder string) (*TLS, error) {
	t := &TLS{CAFile: filepath.Join(folder, "ca.pem"), ClientFile: filepath.Join(folder, "client.pem"), serverFile: filepath.Join(folder, "server.pem")}
	ca := &x509.Certificate{Subject: subject("authority"), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caKey, err := issue(ca, ca, nil, "", t.CAFile)
	if err != nil {
		return nil, err
	}
	server := &x509.Certificate{ // members are clients of one another
		Subject: subject("mongod"), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if _, err := issue(server, ca, caKey, t.serverFile, ""); err != nil {
		return nil, err
	}
	client := &x509.Certificate{
		Subject: subject("client"), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if _, err := issue(client, ca, caKey, t.ClientFile, ""); err != nil {
		return nil, err
	}
	t.ClientSubject = client.Subject.String()
	return t, nil
}

// subject gives each an organisation of its own: a client of the servers' would be taken for one of them.
func subject(who string) pkix.Name {
	return pkix.Name{CommonName: who, Organization: []string{"tests of " + who}}
}

// issue signs with the key, or with the new one when that is nil, and writes the certificate to a file: with its key, or without.
func issue(template, parent *x509.Certificate, signer *ecdsa.PrivateKey, withKey, without string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if signer == nil {
		signer = key
	}
	template.SerialNumber = new(big.Int).SetInt64(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	certificate, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	if without != "" {
		return key, os.WriteFile(without, text, 0o600)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	return key, os.WriteFile(withKey, text, 0o600)
}
