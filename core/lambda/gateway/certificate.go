package gateway

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"strings"
	"time"
)

// authentication says what certificate a visitor has shown (mutual TLS).
type authentication struct {
	ClientCert clientCert `json:"clientCert"`
}

type clientCert struct {
	PEM      string   `json:"clientCertPem"`
	Issuer   string   `json:"issuerDN"`
	Serial   string   `json:"serialNumber"`
	Subject  string   `json:"subjectDN"`
	Validity validity `json:"validity"`
}

type validity struct {
	NotAfter  string `json:"notAfter"`
	NotBefore string `json:"notBefore"`
}

// authenticated is nil unless the visitor has shown a certificate that was verified.
func authenticated(state *tls.ConnectionState) *authentication {
	if state == nil || len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) == 0 {
		return nil
	}
	cert := state.VerifiedChains[0][0]
	return &authentication{ClientCert: clientCert{
		PEM:      string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})),
		Issuer:   cert.Issuer.String(),
		Subject:  cert.Subject.String(),
		Serial:   serial(cert.SerialNumber.Bytes()),
		Validity: validity{NotAfter: certTime(cert.NotAfter), NotBefore: certTime(cert.NotBefore)},
	}}
}

// serial is a serial number as API Gateway writes it: a1:a1:a1.
func serial(number []byte) string {
	pairs := make([]string, len(number))
	for i, b := range number {
		pairs[i] = fmt.Sprintf("%02x", b)
	}
	return strings.Join(pairs, ":")
}

// certTime is as OpenSSL prints times, which API Gateway does too.
func certTime(t time.Time) string { return t.UTC().Format("Jan _2 15:04:05 2006 GMT") }
