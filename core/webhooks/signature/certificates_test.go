package signature

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"

	"github.com/onehost/edge/core/fault"
)

const payPalID = "4JH86294D6297924G"

// payPalSigned is a delivery of the body, at a time.
func payPalSigned(body, at, certURL string) *Request {
	r := post(body, "PAYPAL-TRANSMISSION-ID", "dfb3be50-fd74-11e4-8bf3-77339302725b", "PAYPAL-TRANSMISSION-TIME", at, "PAYPAL-AUTH-ALGO", "SHA256withRSA", "PAYPAL-CERT-URL", certURL)
	text := fmt.Sprintf("dfb3be50-fd74-11e4-8bf3-77339302725b|%s|%s|%d", at, payPalID, crc32.ChecksumIEEE([]byte(body)))
	r.Header.Set("PAYPAL-TRANSMISSION-SIG", base64.StdEncoding.EncodeToString(signRSA([]byte(text))))
	return r
}

const (
	payPalCert = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77"
	payPalNow  = "2027-01-15T08:00:00Z"
	payPalBody = `{"id":"WH-0G2756385H040842W-5Y612302CV158622M","event_type":"PAYMENT.SALE.COMPLETED"}`
)

// newPayPalProvider has a leaf that an authority between has issued, as PayPal's has.
func newPayPalProvider(t testing.TB, leaf *x509.Certificate) *provider {
	p := newProvider(t, nil)
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	between, betweenPEM := p.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "between"}, IsCA: true, BasicConstraintsValid: true}, key)
	root, rootKey := p.ca, p.caKey
	p.ca, p.caKey = between, key
	_, pem := p.issue(t, leaf, rsaKey())
	p.ca, p.caKey = root, rootKey
	p.answer = says(append(pem, betweenPEM...))
	return p
}

func TestPayPalIsBelievedByItsCertificate(t *testing.T) {
	p := newPayPalProvider(t, &x509.Certificate{DNSNames: []string{"messageverificationcerts.paypal.com"}})
	s := scheme1("paypal", "")
	s.Secrets = []string{"WH-OTHER", payPalID}
	v := verifier(t, s, p.client)
	for range 3 {
		e, err := v.Verify(context.Background(), payPalSigned(payPalBody, payPalNow, payPalCert))
		if err != nil || e != (Event{ID: "WH-0G2756385H040842W-5Y612302CV158622M", Type: "PAYMENT.SALE.COMPLETED"}) {
			t.Fatal(e, err)
		}
	}
	if asked := p.requests(); len(asked) != 1 {
		t.Error("the certificate was fetched more than once:", asked)
	}
	good := func() *Request { return payPalSigned(payPalBody, payPalNow, payPalCert) }
	for name, c := range map[string]struct {
		change func(r *Request)
		want   Reason
	}{
		"another body":        {func(r *Request) { r.Body = []byte(payPalBody + " ") }, WrongSignature},
		"another algorithm":   {func(r *Request) { r.Header.Set("PAYPAL-AUTH-ALGO", "SHA1withRSA") }, Malformed},
		"a bar in the id":     {func(r *Request) { r.Header.Set("PAYPAL-TRANSMISSION-ID", "a|b") }, Malformed},
		"no certificate":      {func(r *Request) { r.Header.Del("PAYPAL-CERT-URL") }, Missing},
		"another host":        {func(r *Request) { r.Header.Set("PAYPAL-CERT-URL", "https://elsewhere.example/cert") }, WrongCertificate},
		"a host that ends so": {func(r *Request) { r.Header.Set("PAYPAL-CERT-URL", "https://notpaypal.com/cert") }, WrongCertificate},
		"http":                {func(r *Request) { r.Header.Set("PAYPAL-CERT-URL", strings.Replace(payPalCert, "https", "http", 1)) }, WrongCertificate},
		"an address":          {func(r *Request) { r.Header.Set("PAYPAL-CERT-URL", "https://169.254.169.254/?.paypal.com") }, WrongCertificate},
		"three days later":    {func(r *Request) { r.At = r.At.Add(72 * time.Hour) }, ""},
		"four days later":     {func(r *Request) { r.At = r.At.Add(96 * time.Hour) }, TooOld},
		"too new":             {func(r *Request) { r.At = r.At.Add(-6 * time.Minute) }, TooNew},
		"when it has expired": {func(r *Request) { r.At = time.Unix(1900000001, 0) }, WrongCertificate},
	} {
		r := good()
		c.change(r)
		if got := reason(t, v, r); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if asked := p.requests(); len(asked) != 1 {
		t.Error("something else was fetched:", asked)
	}
}

func TestThePublishedTextOfPayPalIsWhatIsSigned(t *testing.T) {
	// Of the Python SDK's tests: the CRC-32 of the event is 2771810304; a body that has it stands for the event, which is long.
	text := fmt.Sprintf("%s|%s|%s|%d", "dfb3be50-fd74-11e4-8bf3-77339302725b", "2015-05-18T15:45:13Z", payPalID, uint32(2771810304))
	if text != "dfb3be50-fd74-11e4-8bf3-77339302725b|2015-05-18T15:45:13Z|4JH86294D6297924G|2771810304" {
		t.Error(text)
	}
}

func TestACertificateOfNobodyIsNotPayPals(t *testing.T) {
	for name, p := range map[string]*provider{
		"another host's": newPayPalProvider(t, &x509.Certificate{DNSNames: []string{"elsewhere.example", "paypal.com.elsewhere.example"}}),
		"expired":        newPayPalProvider(t, &x509.Certificate{DNSNames: []string{"a.paypal.com"}, NotBefore: time.Unix(1700000000, 0), NotAfter: time.Unix(1750000000, 0)}),
		"no certificate": func() *provider { p := newProvider(t, says([]byte("hello"))); return p }(),
		"a stranger's": func() *provider {
			p := newPayPalProvider(t, &x509.Certificate{DNSNames: []string{"a.paypal.com"}})
			p.answer = newPayPalProvider(t, &x509.Certificate{DNSNames: []string{"a.paypal.com"}}).answer
			return p
		}(),
	} {
		if got := reason(t, verifier(t, scheme1("paypal", payPalID), p.client), payPalSigned(payPalBody, payPalNow, payPalCert)); got != WrongCertificate {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAFetchThatFailsIsTriedLater(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
		},
		"too much":   says(bytes.Repeat([]byte("x"), maxFetched+1)),
		"an error":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"breaks off": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		p := newProvider(t, answer)
		v := verifier(t, scheme1("paypal", payPalID), p.client)
		for range 3 {
			_, err := v.Verify(context.Background(), payPalSigned(payPalBody, payPalNow, payPalCert))
			if fault.CodeOf(err) != fault.Unavailable {
				t.Errorf("%s: %v", name, err)
			}
		}
		if asked := p.requests(); len(asked) == 0 || asked[len(asked)-1] != payPalCert || len(asked) > 2 { // net/http asks once more when a connection breaks off
			t.Errorf("%s: it asked for %q", name, asked)
		}
	}
}

func TestAHostThatDoesNotAnswerHoldsUpNobodyForLong(t *testing.T) {
	gone := make(chan struct{})
	p := newProvider(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); close(gone) })
	p.client.Timeout = 300 * time.Millisecond
	v := verifier(t, scheme1("paypal", payPalID), p.client)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := v.Verify(ctx, payPalSigned(payPalBody, payPalNow, payPalCert))
	if fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
	select {
	case <-gone: // by the client's deadline: who waits for the same is not left alone when the first one leaves
	case <-time.After(time.Minute):
		t.Error("the fetch goes on without end")
	}
}

func TestOneCertificateIsFetchedOnceForAll(t *testing.T) {
	p := newPayPalProvider(t, &x509.Certificate{DNSNames: []string{"a.paypal.com"}})
	v := verifier(t, scheme1("paypal", payPalID), p.client)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if _, err := v.Verify(context.Background(), payPalSigned(payPalBody, payPalNow, payPalCert)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if asked := p.requests(); len(asked) != 1 {
		t.Errorf("it was fetched %d times", len(asked))
	}
}

// expire makes what is kept due for another fetch.
func expire(v *Verifier) {
	v.certs.mu.Lock()
	defer v.certs.mu.Unlock()
	for address, k := range v.certs.kept {
		k.until = time.Time{}
		v.certs.kept[address] = k
	}
}

func TestACertificateIsGoodWhileItsHostIsAway(t *testing.T) {
	p := newPayPalProvider(t, &x509.Certificate{DNSNames: []string{"a.paypal.com"}})
	good := p.answer
	p.answer = says([]byte("we are moving"))
	v := verifier(t, scheme1("paypal", payPalID), p.client)
	for i, step := range []struct {
		answer http.HandlerFunc
		want   Reason
		asked  int
	}{
		{says([]byte("we are moving")), WrongCertificate, 1}, {good, "", 2}, {says([]byte("we are moving")), "", 3}, {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "", 4}, {good, "", 5},
	} {
		p.answer = step.answer
		for range 2 {
			if got := reason(t, v, payPalSigned(payPalBody, payPalNow, payPalCert)); got != step.want || len(p.requests()) != step.asked {
				t.Errorf("step %d: %q after %d fetches, want %q after %d", i, got, len(p.requests()), step.want, step.asked)
			}
		}
		expire(v)
	}
}

func TestForgedDeliveriesFetchOnlySoMuch(t *testing.T) {
	p := newProvider(t, says([]byte("no certificate")))
	v := verifier(t, scheme1("paypal", payPalID), p.client)
	for i := range 2 * fetchesAMinute {
		_, _ = v.Verify(context.Background(), payPalSigned(payPalBody, payPalNow, fmt.Sprintf("%s-%d", payPalCert, i)))
	}
	if n := len(p.requests()); n != fetchesAMinute {
		t.Errorf("%d fetches, want %d", n, fetchesAMinute)
	}
	if n := len(v.certs.kept); n > maxCertified {
		t.Errorf("%d addresses are kept", n)
	}
}

func TestOnlyPublicAddressesAreDialled(t *testing.T) {
	for addr, want := range map[string]bool{
		"52.94.5.1": true, "2600:1f18::1": true, "127.0.0.1": false, "10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false,
		"::1": false, "fe80::1": false, "fd00:ec2::254": false, "::ffff:127.0.0.1": false, "::ffff:100.64.0.1": false, "::ffff:169.254.169.254": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "224.0.0.1": false,
		"255.255.255.255": false, "::": false, "fe80::1%eth0": false, "198.18.0.1": false, "192.0.2.1": false, "2001:db8::1": false,
	} {
		if got := public(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s is public: %v", addr, got)
		}
	}
	if publicOnly("tcp", "52.94.5.1:443", nil) != nil || publicOnly("tcp", "52.94.5.1:80", nil) == nil || publicOnly("tcp", "127.0.0.1:443", nil) == nil || publicOnly("tcp", "x", nil) == nil {
		t.Error("another address is dialled")
	}
	_, err := fetch(context.Background(), pinned(nil), "https://localhost/")
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "no public address") {
		t.Error("localhost is dialled:", err)
	}
}

func TestATopicIsMatchedAsItIsWritten(t *testing.T) {
	for pattern, want := range map[string]bool{
		"arn:aws:sns:eu-west-1:123456789012:orders": true, "arn:aws:sns:*:123456789012:*": true, "*orders": true, "*": true, "arn:aws:sns:eu-west-?:123456789012:ord*": true, "arn:*:*:*s": true,
		"arn:aws:sns:eu-west-1:123456789012:order": false, "orders": false, "": false, "arn:aws:sns:eu-west-1:123456789012:orders?": false, "arn:aws:sns:us*": false,
	} {
		if match(pattern, "arn:aws:sns:eu-west-1:123456789012:orders") != want {
			t.Errorf("%q is %v", pattern, !want)
		}
	}
	if match(strings.Repeat("*a", 1000), strings.Repeat("a", 999)+"b") {
		t.Error("it matches")
	}
}

func TestWhatAWSDoesNotSignIsNotMixedUpWithWhatItSigns(t *testing.T) {
	p := snsProvider(t, says(nil))
	v := verifier(t, snsSource("*"), p.client)
	r := snsOf(func(m map[string]string) {
		m["Type"], m["Message"] = "Notification", "a\nMessageId\nb"
		delete(m, "Token")
	})
	if got := reason(t, v, r); got != "" {
		t.Fatal(got)
	}
	// The same text is signed if Message ends earlier, and MessageId has the rest.
	forged := strings.NewReplacer(`"Message":"a\nMessageId\nb"`, `"Message":"a"`, `"MessageId":"id-1"`, `"MessageId":"b\nMessageId\nid-1"`).Replace(string(r.Body))
	if got := reason(t, v, post(forged)); got != Malformed || forged == string(r.Body) {
		t.Errorf("%q: %s", got, forged)
	}
}
