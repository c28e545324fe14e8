package gateway

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math/big"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/lambda"
)

var update = flag.Bool("update", false, "write testdata/*.json anew")

// at is when all requests of testdata came.
var at = time.Date(2020, time.April, 21, 17, 8, 21, 701e6, time.FixedZone("", 2*3600))

// requests are what stands in testdata/NAME.http, as edge hands it to a handler.
var requests = []struct {
	name, client, pattern string
	values                map[string]string
	tls                   bool
}{
	{name: "plain", client: "1.2.3.4:50000", tls: true},
	{name: "repeated", client: "[2001:db8::1%eth0]:50000", pattern: "GET /contact"},
	{name: "form", client: "[::ffff:192.0.2.7]:1", pattern: "POST /hook/{id}", values: map[string]string{"id": "42"}, tls: true},
	{name: "json", client: "192.0.2.7:1", pattern: "ANY /{$}"},
	{name: "multipart", client: "192.0.2.7:1", pattern: "$default"},
	{name: "greedy", client: "192.0.2.7:1", pattern: "ANY /files/{first}/{proxy+}", values: map[string]string{"first": "a/b c", "proxy": "d?e"}},
	{name: "proxied", client: "203.0.113.9:0", pattern: "POST /p"},
}

// request reads testdata/NAME.http.
func request(t *testing.T, name string) (*http.Request, []byte) {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name + ".http")
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, body
}

func TestEventsAreAPIGateways(t *testing.T) {
	for _, c := range requests {
		t.Run(c.name, func(t *testing.T) {
			r, body := request(t, c.name)
			r.RemoteAddr, r.Pattern = c.client, c.pattern
			for name, value := range c.values {
				r.SetPathValue(name, value)
			}
			if c.tls {
				r.TLS = &tls.ConnectionState{}
			}
			got, err := newEvent(r, body, at)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, c.name, got)
			for range 10 {
				if again, _ := newEvent(r, body, at); !bytes.Equal(again, got) {
					t.Fatal("another event of the same request")
				}
			}
			asAWSReadsIt(t, got, body)
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := "testdata/" + name + ".json"
	if *update {
		var b bytes.Buffer
		if err := json.Indent(&b, got, "", "  "); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(b.Bytes(), '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := json.Compact(&want, text); err != nil {
		t.Fatal(err)
	}
	if want.String() != string(got) {
		t.Errorf("got  %s\nwant %s", got, want.String())
	}
}

// asAWSReadsIt decodes an event with the types of AWS's own library for Go: it must know every name, and write the same.
func asAWSReadsIt(t *testing.T, event, body []byte) {
	t.Helper()
	var e events.APIGatewayV2HTTPRequest
	d := json.NewDecoder(bytes.NewReader(event))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		t.Fatalf("%v: %s", err, event)
	}
	read := []byte(e.Body)
	if e.IsBase64Encoded {
		read, _ = base64.StdEncoding.DecodeString(e.Body)
	}
	if !bytes.Equal(read, body) {
		t.Errorf("the body is %q instead of %q", read, body)
	}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var ours, theirs map[string]any
	if json.Unmarshal(event, &ours) != nil || json.Unmarshal(text, &theirs) != nil {
		t.Fatal("not an object")
	}
	if context := ours["requestContext"].(map[string]any); context["authentication"] == nil {
		delete(theirs["requestContext"].(map[string]any), "authentication") // Go writes an empty one
	}
	if !reflect.DeepEqual(ours, theirs) {
		t.Errorf("ours   %v\ntheirs %v", ours, theirs)
	}
}

func TestABodyIsTextOnlyIfItIsAKnownTextAndWhole(t *testing.T) {
	for _, c := range []struct {
		media, coding, body string
		text                bool
	}{
		{"text/plain", "", "é", true},
		{"TEXT/HTML; charset=utf-8", "", "x", true},
		{"text/plain; charset", "", "x", true},
		{"application/json", "", "{}", true},
		{"application/xml", "identity", "<a/>", true},
		{"application/javascript", "", "1", true},
		{"application/problem+json", "", "{}", false},
		{"application/x-www-form-urlencoded", "", "a=b", false},
		{"multipart/form-data; boundary=x", "", "x", false},
		{"application/octet-stream", "", "x", false},
		{"", "", "x", false},
		{"application/json", "gzip", "{}", false},
		{"text/plain; charset=iso-8859-1", "", "\xe9", false},
	} {
		r, _ := http.NewRequest("POST", "http://example.com/", nil)
		r.Header.Set("Content-Type", c.media)
		r.Header.Set("Content-Encoding", c.coding)
		event, err := NewEvent(r, []byte(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Contains(event, []byte(`"isBase64Encoded":false`)); got != c.text {
			t.Errorf("%q %q: text is %v", c.media, c.coding, got)
		}
		asAWSReadsIt(t, event, []byte(c.body))
	}
}

func TestWhoeverHasNoAddressIsGivenNone(t *testing.T) {
	r, _ := http.NewRequest("GET", "http://example.com/", nil)
	r.RemoteAddr = "@"
	if event, err := NewEvent(r, nil); err != nil || bytes.Contains(event, []byte("x-forwarded-for")) || !bytes.Contains(event, []byte(`"sourceIp":""`)) {
		t.Errorf("%s, %v", event, err)
	}
}

func TestAnEventThatLambdaDoesNotTakeIsTooLarge(t *testing.T) {
	for media, longest := range map[string]int{"text/plain": lambda.MaxEvent, "image/png": (lambda.MaxEvent + 3) / 4 * 3} {
		r, _ := http.NewRequest("POST", "http://example.com/", nil)
		r.Header.Set("Content-Type", media)
		if _, err := NewEvent(r, bytes.Repeat([]byte("x"), longest)); !errors.Is(err, fault.TooLarge) {
			t.Errorf("%s: %v", media, err)
		}
		event, err := NewEvent(r, bytes.Repeat([]byte("x"), longest-4096))
		if err != nil || len(event) > lambda.MaxEvent {
			t.Errorf("%s: %d bytes, %v", media, len(event), err)
		}
	}
}

func TestAFunctionLearnsWhoseCertificateWasVerified(t *testing.T) {
	cert := &x509.Certificate{
		Raw: []byte("der"), SerialNumber: big.NewInt(0xa1b2), Subject: pkix.Name{CommonName: "client"}, Issuer: pkix.Name{CommonName: "ca"},
		NotBefore: time.Date(2019, 5, 28, 12, 30, 2, 0, time.UTC), NotAfter: time.Date(2021, 8, 5, 9, 36, 4, 0, time.UTC),
	}
	r, _ := http.NewRequest("GET", "https://example.com/", nil)
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
	if event, _ := NewEvent(r, nil); bytes.Contains(event, []byte("clientCert")) {
		t.Error("one that was not verified")
	}
	r.TLS.VerifiedChains = [][]*x509.Certificate{{cert}}
	event, err := NewEvent(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	asAWSReadsIt(t, event, nil)
	var e events.APIGatewayV2HTTPRequest
	_ = json.Unmarshal(event, &e)
	want := events.APIGatewayV2HTTPRequestContextAuthenticationClientCert{
		ClientCertPem: "-----BEGIN CERTIFICATE-----\nZGVy\n-----END CERTIFICATE-----\n", IssuerDN: "CN=ca", SubjectDN: "CN=client", SerialNumber: "a1:b2",
		Validity: events.APIGatewayV2HTTPRequestContextAuthenticationClientCertValidity{NotBefore: "May 28 12:30:02 2019 GMT", NotAfter: "Aug  5 09:36:04 2021 GMT"},
	}
	if got := e.RequestContext.Authentication.ClientCert; got != want {
		t.Errorf("%+v", got)
	}
}

// FuzzNewEvent: of whatever request, the event is one that AWS's own types know, within bounds, and holds the body as it was.
func FuzzNewEvent(f *testing.F) {
	for _, c := range requests {
		raw, err := os.ReadFile("testdata/" + c.name + ".http")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, c.client, c.pattern)
	}
	f.Fuzz(func(t *testing.T, raw []byte, client, pattern string) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.RemoteAddr, r.Pattern = client, pattern
		event, err := newEvent(r, body, at)
		if err != nil {
			t.Fatal(err)
		}
		asAWSReadsIt(t, event, body)
		if strings.Contains(string(event), `"cookie":`) {
			t.Error("cookies in a header")
		}
	})
}

func BenchmarkNewEvent(b *testing.B) {
	raw, err := os.ReadFile("testdata/form.http")
	if err != nil {
		b.Fatal(err)
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		b.Fatal(err)
	}
	r.RemoteAddr, r.Pattern = "192.0.2.7:1", "POST /hook/{id}"
	for name, size := range map[string]int{"1KB": 1 << 10, "4MB": 4 << 20} {
		body := bytes.Repeat([]byte("x"), size)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := NewEvent(r, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
