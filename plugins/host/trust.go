package host

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// identity is what edge shows one process of a plugin: a certificate of its own, which the process alone is told to trust. The curve is P-256, because gRPC's own library, on which those of Python
// and others stand, takes no other that go-plugin would make.
type identity struct {
	certificate tls.Certificate
	text        string // the certificate as PEM
}

func newIdentity() (*identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "localhost", Organization: []string{"edge"}}, DNSNames: []string{"localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(30, 0, 0), // it is worth as much as the process lives
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true, // it is its own root
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &identity{
		certificate: tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key},
		text:        string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})),
	}, nil
}

// tls is how edge talks to a process whose handshake has come. go-plugin adds the process's certificate as the one root; that it is that very one that answers is looked at here.
func (i *identity) tls(shaken *atomic.Pointer[handshake]) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{i.certificate}, MinVersion: tls.VersionTLS12, ServerName: "localhost",
		VerifyConnection: func(s tls.ConnectionState) error {
			said := shaken.Load()
			if said == nil || len(s.PeerCertificates) == 0 || !bytes.Equal(s.PeerCertificates[0].Raw, said.certificate) {
				return errors.New("what answers has another certificate than the plugin said")
			}
			return nil
		},
	}
}

// handshake is the line by which a plugin says where it serves: 1|VERSION|NETWORK|ADDRESS|grpc|CERTIFICATE, and then what go-plugin adds.
type handshake struct {
	line        string
	certificate []byte // DER
}

const certificateLeast = 50 // bytes, as go-plugin has it

// looksLikeHandshake reports whether a line is meant to be one. What a program prints before that is none of edge's business.
func looksLikeHandshake(line string) bool {
	parts := strings.Split(line, "|")
	return len(parts) >= 4 && number(strings.TrimSpace(parts[0])) && number(parts[1]) && (parts[2] == "unix" || parts[2] == "tcp")
}

func number(s string) bool {
	return s != "" && len(s) <= 5 && strings.Trim(s, "0123456789") == ""
}

// parseHandshake reads the line. folder is where the process's sockets are. What go-plugin checks by itself (versions) is left to it.
func parseHandshake(line, folder string) (*handshake, error) {
	line = strings.TrimSpace(line)
	parts := strings.Split(line, "|")
	if len(parts) < 4 {
		return nil, errors.New("it is no handshake")
	}
	h := &handshake{line: line}
	if len(parts) < 5 || parts[4] != "grpc" {
		return nil, errors.New("it does not serve gRPC: edge speaks no other protocol with plugins")
	}
	switch parts[2] {
	case "unix":
		if filepath.Dir(filepath.Clean(parts[3])) != folder {
			return nil, errors.New("its socket is not in the folder that PLUGIN_UNIX_SOCKET_DIR names")
		}
	case "tcp":
		at, err := netip.ParseAddrPort(parts[3])
		if err != nil || !at.Addr().IsLoopback() {
			return nil, errors.New("it serves neither on a unix socket nor on a loopback address such as 127.0.0.1:10000")
		}
	default:
		return nil, fmt.Errorf("it serves on %q, which is neither unix nor tcp", parts[2])
	}
	if len(parts) < 6 || len(parts[5]) <= certificateLeast {
		return nil, errors.New("it has no certificate: a plugin serves TLS, asks for the client certificate of PLUGIN_CLIENT_CERT, and says its own in the sixth field")
	}
	var err error
	if h.certificate, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil {
		return nil, errors.New("its certificate is no base64 without padding")
	}
	if _, err := x509.ParseCertificate(h.certificate); err != nil {
		return nil, fmt.Errorf("its certificate is none (of DER in base64): %w", err)
	}
	return h, nil
}
