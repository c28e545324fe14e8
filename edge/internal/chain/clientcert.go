package chain

import (
	"cmp"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"weak"

	"github.com/onehost/edge/edge/internal/exchange"
)

// addClientCert tells the target which certificate the visitor has shown, as ALB does in verify mode ("HTTP headers and
// mutual TLS"): what a trusted proxy says of one is replaced. Without a certificate that was verified it does nothing.
func (c *Chain) addClientCert(x *exchange.Exchange) {
	if !showsCert(&x.Request) {
		return
	}
	x.Fields.DelFunc(func(f exchange.Field) bool { return isMutual(f.Name) })
	x.Fields = append(x.Fields, c.certs.fields(x.TLS.PeerCertificates[0])...)
}

// showsCert reports whether the visitor has shown a certificate that the host's authorities vouch for.
func showsCert(r *exchange.Request) bool { return r.TLS != nil && len(r.TLS.VerifiedChains) > 0 }

// clientCerts keeps the fields of the certificates that connections were opened with, as long as one of these is there.
type clientCerts struct{ known sync.Map } // exchange.Fields by weak.Pointer[x509.Certificate]

func (k *clientCerts) fields(leaf *x509.Certificate) exchange.Fields {
	key := weak.Make(leaf)
	if fields, ok := k.known.Load(key); ok {
		return fields.(exchange.Fields)
	}
	fields := certFields(leaf)
	if _, there := k.known.LoadOrStore(key, fields); !there {
		runtime.AddCleanup(leaf, func(key weak.Pointer[x509.Certificate]) { k.known.Delete(key) }, key)
	}
	return fields
}

func certFields(leaf *x509.Certificate) exchange.Fields {
	return exchange.Fields{
		{Name: "X-Amzn-Mtls-Clientcert-Serial-Number", Value: serialOf(leaf)},
		{Name: "X-Amzn-Mtls-Clientcert-Issuer", Value: distinguishedName(leaf.RawIssuer)},
		{Name: "X-Amzn-Mtls-Clientcert-Subject", Value: distinguishedName(leaf.RawSubject)},
		{Name: "X-Amzn-Mtls-Clientcert-Validity", Value: "NotBefore=" + iso8601(leaf.NotBefore) + ";NotAfter=" + iso8601(leaf.NotAfter)},
		{Name: "X-Amzn-Mtls-Clientcert-Leaf", Value: encodedPEM(leaf)},
	}
}

// isMutual reports whether a field says what certificate a visitor has shown.
func isMutual(name string) bool {
	const family = "X-Amzn-Mtls-"
	return len(name) >= len(family) && exchange.EqualName(name[:len(family)], family)
}

// serialOf is hexadecimal, two digits a byte: 03A5B1.
func serialOf(c *x509.Certificate) string { return string(appendSerial(nil, c)) }

func appendSerial(b []byte, c *x509.Certificate) []byte {
	var room [20]byte // RFC 5280, section 4.1.2.2
	length := (c.SerialNumber.BitLen() + 7) / 8
	serial := room[:max(1, min(length, len(room)))]
	if length > len(room) {
		serial = make([]byte, length)
	}
	for _, c := range c.SerialNumber.FillBytes(serial) {
		b = append(b, upperHex[c>>4], upperHex[c&15])
	}
	return b
}

const upperHex = "0123456789ABCDEF"

func iso8601(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// encodedPEM is percent-encoded; "+", "/" and "=" stay. Of what else PEM has, only spaces and line ends don't.
func encodedPEM(c *x509.Certificate) string {
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	return strings.NewReplacer("\n", "%0A", " ", "%20").Replace(text)
}

// An attribute and a set of them are what a name in a certificate consists of (RFC 5280, section 4.1.2.4). That encoding/asn1
// takes a set for one depends on the end of its type's name.
type (
	attribute struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	attributeSET []attribute
)

// distinguishedName writes a name as RFC 2253 wants it, the last part first. It is ASCII, and has no control characters whatever
// the authority has signed: it goes into a header field.
func distinguishedName(der []byte) string {
	var parts []attributeSET
	if _, err := asn1.Unmarshal(der, &parts); err != nil {
		return "" // never: crypto/x509 has read it
	}
	slices.Reverse(parts)
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, a := range part {
			if j > 0 {
				b.WriteByte('+')
			}
			a.appendTo(&b)
		}
	}
	return b.String()
}

func (a *attribute) appendTo(b *strings.Builder) {
	var value any
	_, err := asn1.Unmarshal(a.Value.FullBytes, &value)
	text, isText := value.(string)
	name := nameOfType(a.Type)
	if name == "" || err != nil || !isText { // RFC 2253, section 2.4
		fmt.Fprintf(b, "%s=#%X", cmp.Or(name, a.Type.String()), a.Value.FullBytes)
		return
	}
	b.WriteString(name)
	b.WriteByte('=')
	escapeTo(b, text)
}

// nameOfType returns the short name of an attribute's type, or "": those of RFC 2253, section 2.3, and two more that OpenSSL knows.
func nameOfType(oid asn1.ObjectIdentifier) string {
	switch oid.String() {
	case "2.5.4.3":
		return "CN"
	case "2.5.4.5":
		return "serialNumber"
	case "2.5.4.6":
		return "C"
	case "2.5.4.7":
		return "L"
	case "2.5.4.8":
		return "ST"
	case "2.5.4.9":
		return "street"
	case "2.5.4.10":
		return "O"
	case "2.5.4.11":
		return "OU"
	case "0.9.2342.19200300.100.1.1":
		return "UID"
	case "0.9.2342.19200300.100.1.25":
		return "DC"
	case "1.2.840.113549.1.9.1":
		return "emailAddress"
	default:
		return ""
	}
}

// escapeTo writes a value (RFC 2253, section 2.4). What is not printable ASCII becomes pairs of hexadecimal digits.
func escapeTo(b *strings.Builder, s string) {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(b, `\%02X`, c)
		case strings.IndexByte(`,+"\<>;`, c) >= 0, c == '#' && i == 0, c == ' ' && (i == 0 || i == len(s)-1):
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
}
