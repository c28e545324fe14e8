package chain

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

// name makes one in the order of a certificate: the country first.
func name(parts ...pkix.AttributeTypeAndValue) []byte {
	var n pkix.RDNSequence
	for _, p := range parts {
		n = append(n, pkix.RelativeDistinguishedNameSET{p})
	}
	der, err := asn1.Marshal(n)
	if err != nil {
		panic(err)
	}
	return der
}

func attr(oid string, value any) pkix.AttributeTypeAndValue {
	var id asn1.ObjectIdentifier
	for part := range strings.SplitSeq(oid, ".") {
		n, _ := new(big.Int).SetString(part, 10)
		id = append(id, int(n.Int64()))
	}
	return pkix.AttributeTypeAndValue{Type: id, Value: value}
}

// shown is a connection whose visitor has shown a certificate for subject.
func shown(t testing.TB, subject []byte, serial int64) *tls.ConnectionState {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		RawSubject:   subject,
		NotBefore:    time.Date(2023, 9, 21, 3, 50, 17, 0, time.FixedZone("", 7200)),
		NotAfter:     time.Date(2024, 9, 20, 1, 50, 17, 0, time.UTC),
	}, &x509.Certificate{RawSubject: name(attr("2.5.4.6", "US"), attr("2.5.4.3", "root,ca"))}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	chain := []*x509.Certificate{leaf}
	return &tls.ConnectionState{ServerName: "mutual.example", PeerCertificates: chain, VerifiedChains: [][]*x509.Certificate{chain}}
}

func mutualHost() map[string]config.Host { return map[string]config.Host{"mutual.example": {}} }

func on(c *tls.ConnectionState) exchangetest.Option {
	return func(x *exchange.Exchange) { x.TLS = c }
}

func TestTargetsAreToldTheClientCertificate(t *testing.T) {
	var got exchange.Fields
	h := newHouse(t, mutualHost(), func(x *exchange.Exchange) { got = x.Fields.Clone() })
	connection := shown(t, name(attr("2.5.4.6", "US"), attr("2.5.4.10", "mTLS"), attr("2.5.4.3", "client_.com")), 0x03a5b1)
	for _, peer := range []string{stranger, proxy} {
		h.ask("https://mutual.example/", on(connection), from(peer),
			exchangetest.Field("X-Amzn-Mtls-Clientcert-Subject", "CN=forged"), exchangetest.Field("x-amzn-mtls-clientcert", "forged"))
		for name, want := range map[string]string{
			"X-Amzn-Mtls-Clientcert-Serial-Number": "03A5B1",
			"X-Amzn-Mtls-Clientcert-Issuer":        `CN=root\,ca,C=US`,
			"X-Amzn-Mtls-Clientcert-Subject":       "CN=client_.com,O=mTLS,C=US",
			"X-Amzn-Mtls-Clientcert-Validity":      "NotBefore=2023-09-21T01:50:17Z;NotAfter=2024-09-20T01:50:17Z",
		} {
			if got.Get(name) != want {
				t.Errorf("%s: %q, want %q", name, got.Get(name), want)
			}
		}
		leaf := got.Get("X-Amzn-Mtls-Clientcert-Leaf")
		text, err := url.PathUnescape(leaf)
		block, _ := pem.Decode([]byte(text))
		if err != nil || block == nil || !bytes.Equal(block.Bytes, connection.PeerCertificates[0].Raw) {
			t.Errorf("no certificate: %q", leaf)
		}
		if !strings.HasPrefix(leaf, "-----BEGIN%20CERTIFICATE-----%0A") || strings.ContainsAny(leaf, " \n") {
			t.Errorf("%q", leaf)
		}
		mutual := 0
		for _, f := range got {
			if isMutual(f.Name) {
				mutual++
			}
		}
		if mutual != 5 {
			t.Errorf("%d fields", mutual)
		}
	}
}

func TestNobodyElseSaysWhatCertificateWasShown(t *testing.T) {
	seen := ""
	h := newHouse(t, oneHost(), func(x *exchange.Exchange) { seen = x.Fields.Get("X-Amzn-Mtls-Clientcert-Subject") })
	forged := exchangetest.Field("X-Amzn-Mtls-Clientcert-Subject", "CN=forged")
	h.ask("https://example.com/", from(stranger), forged)
	if seen != "" {
		t.Error("a visitor's word goes on:", seen)
	}
	h.ask("https://example.com/", from(proxy), forged)
	if seen == "" {
		t.Error("a trusted proxy's word is lost")
	}
}

func TestMutualHostsNeedTheirHandshake(t *testing.T) {
	served := false
	hosts := map[string]config.Host{"mutual.example": {Health: "/up"}, "both.example": {}}
	h := newHouse(t, hosts, func(*exchange.Exchange) { served = true })
	forwarded := func(x *exchange.Exchange) { x.Fields.Add("X-Forwarded-Proto", "https") }
	for _, tt := range []struct {
		name, target string
		status       int
		options      []exchangetest.Option
	}{
		{"another host's connection", "https://mutual.example/", 421, []exchangetest.Option{sni("both.example")}},
		{"a connection without a certificate", "https://mutual.example/", 421, []exchangetest.Option{sni("mutual.example")}},
		{"plain http", "http://mutual.example/", 301, nil},
		{"a trusted proxy's https", "http://mutual.example/", 421, []exchangetest.Option{from(proxy), forwarded}},
		{"a health check on plain http", "http://mutual.example/up", 200, nil},
	} {
		if r := h.ask(tt.target, tt.options...); r.Status != tt.status || served {
			t.Errorf("%s: %d, served is %v", tt.name, r.Status, served)
		}
	}
}

func TestDistinguishedNames(t *testing.T) {
	utf8 := func(s string) asn1.RawValue { return asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(s)} }
	for want, parts := range map[string][]pkix.AttributeTypeAndValue{
		"":                               nil,
		`CN=a\,\+\"\\\<\>\;=b`:           {attr("2.5.4.3", `a,+"\<>;=b`)},
		`CN=\#a b\ `:                     {attr("2.5.4.3", utf8("#a b "))},
		`CN=\ `:                          {attr("2.5.4.3", " ")},
		`CN=x\0D\0AX-Admin: 1`:           {attr("2.5.4.3", utf8("x\r\nX-Admin: 1"))},
		`CN=J\C3\B6rg`:                   {attr("2.5.4.3", "Jörg")},
		`UID=u,DC=example,DC=com`:        {attr("0.9.2342.19200300.100.1.25", "com"), attr("0.9.2342.19200300.100.1.25", "example"), attr("0.9.2342.19200300.100.1.1", "u")},
		`emailAddress=a@b.c`:             {attr("1.2.840.113549.1.9.1", utf8("a@b.c"))},
		`1.2.3.4=#130161,serialNumber=7`: {attr("2.5.4.5", "7"), attr("1.2.3.4", "a")},
		`CN=#0101FF`:                     {attr("2.5.4.3", true)},
	} {
		if got := distinguishedName(name(parts...)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	two, err := asn1.Marshal(pkix.RDNSequence{{attr("2.5.4.10", "o"), attr("2.5.4.3", "c")}})
	if err != nil || distinguishedName(two) != "CN=c+O=o" {
		t.Error(distinguishedName(two), err)
	}
}

func FuzzDistinguishedName(f *testing.F) {
	f.Add(name(attr("2.5.4.6", "US"), attr("2.5.4.3", "a\r\nb")))
	f.Fuzz(func(t *testing.T, der []byte) {
		for _, c := range []byte(distinguishedName(der)) {
			if c < ' ' || c > '~' {
				t.Fatalf("%q", distinguishedName(der))
			}
		}
	})
}

func TestAccessLogNamesTheClientCertificate(t *testing.T) {
	x, _ := exchangetest.New("GET", "https://mutual.example/", on(shown(t, name(), 0x0a)))
	if line := string(new(line).of(x, 200, 0, false)); !strings.Contains(line, `,"client_cert_serial":"0A"`) {
		t.Error(line)
	}
}

func TestSerialsAreWholeBytes(t *testing.T) {
	for serial, want := range map[string]string{"0": "00", "a": "0A", "100": "0100", strings.Repeat("1f", 21): strings.Repeat("1F", 21)} {
		n, _ := new(big.Int).SetString(serial, 16)
		if got := serialOf(&x509.Certificate{SerialNumber: n}); got != want {
			t.Errorf("%s is %s", serial, got)
		}
	}
}

func TestFieldsOfCertificatesAreForgottenWithThem(t *testing.T) {
	var k clientCerts
	leaf := shown(t, name(), 1).PeerCertificates[0]
	if a, b := k.fields(leaf), k.fields(leaf); &a[0] != &b[0] {
		t.Error("made twice")
	}
	runtime.KeepAlive(leaf)
	for deadline := time.Now().Add(10 * time.Second); ; runtime.GC() {
		n := 0
		for range k.known.Range {
			n++
		}
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("kept for ever")
		}
	}
}
