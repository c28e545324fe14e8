package acmetest

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Kind says what an ACME request is for (RFC 8555 section 7.1).
type Kind string

// What clients ask of a CA. Polling is KindOrder and KindAuthz, downloading is KindCertificate.
const (
	KindDirectory   Kind = "directory"
	KindNonce       Kind = "new-nonce"
	KindNewAccount  Kind = "new-account"
	KindAccount     Kind = "account"
	KindKeyChange   Kind = "key-change"
	KindNewOrder    Kind = "new-order"
	KindOrder       Kind = "order"
	KindAuthz       Kind = "authz"
	KindChallenge   Kind = "challenge"
	KindFinalize    Kind = "finalize"
	KindCertificate Kind = "certificate"
	KindRevoke      Kind = "revoke"
	KindRenewalInfo Kind = "renewal-info" // RFC 9773
	KindUnknown     Kind = "unknown"
)

// Request is one request that the gate saw.
type Request struct {
	At     time.Time
	Kind   Kind
	Method string
	Path   string
	// Names are the identifiers of a new order and those of the CSR of a finalize request.
	Names []string
	// Payload is what was signed; empty for POST-as-GET and for what is not a POST.
	Payload []byte
	// Status is that of the answer: 0 while it is awaited, and for good when the connection was cut instead.
	Status int
}

// For says whether the request is about a name.
func (r Request) For(name string) bool { return slices.Contains(r.Names, name) }

// kindOf knows Pebble's paths.
func kindOf(path string) Kind {
	for prefix, kind := range map[string]Kind{
		"/dir": KindDirectory, "/nonce-plz": KindNonce, "/sign-me-up": KindNewAccount, "/my-account/": KindAccount,
		"/rollover-account-key": KindKeyChange, "/order-plz": KindNewOrder, "/my-order/": KindOrder, "/authZ/": KindAuthz,
		"/chalZ/": KindChallenge, "/finalize-order/": KindFinalize, "/certZ/": KindCertificate, "/revoke-cert": KindRevoke,
		"/draft-ietf-acme-ari-03/renewalInfo/": KindRenewalInfo,
	} {
		if strings.HasPrefix(path, prefix) {
			return kind
		}
	}
	return KindUnknown
}

// payloadOf takes the payload out of a JWS in its flattened form (RFC 7515 section 7.2.2). The server judges it, not we: of what
// is none, nothing is taken.
func payloadOf(body []byte) []byte {
	var signed struct{ Payload string }
	if json.Unmarshal(body, &signed) != nil {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(signed.Payload)
	if err != nil {
		return nil
	}
	return payload
}

func namesIn(kind Kind, payload []byte) []string {
	var asked struct {
		Identifiers []struct{ Value string }
		CSR         string
	}
	if json.Unmarshal(payload, &asked) != nil {
		return nil
	}
	var names []string
	switch kind {
	case KindNewOrder:
		for _, identifier := range asked.Identifiers {
			names = append(names, identifier.Value)
		}
	case KindFinalize:
		der, err := base64.RawURLEncoding.DecodeString(asked.CSR)
		if err != nil {
			return nil
		}
		if csr, err := x509.ParseCertificateRequest(der); err == nil {
			names = csr.DNSNames
		}
	default: // the others name a resource, not what it is for
	}
	return names
}
