package signature

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
)

func TestASecretThatIsSentAsItIs(t *testing.T) {
	bearer, own, basic := scheme1("bearer", "s3cret"), scheme1("bearer", "s3cret"), scheme1("basic", "ann:a:b")
	own.Verify.Header = "X-Api-Key"
	in := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, c := range []struct {
		source      config.Webhook
		name, value string
		want        Reason
	}{
		{bearer, "Authorization", "Bearer s3cret", ""}, {bearer, "Authorization", "bearer  s3cret", ""}, {bearer, "Authorization", "Bearer s3cret ", WrongSecret},
		{bearer, "Authorization", "s3cret", Malformed}, {bearer, "Authorization", "Bearer", WrongSecret}, {bearer, "X-Api-Key", "s3cret", Missing},
		{own, "X-Api-Key", "s3cret", ""}, {own, "X-Api-Key", "S3cret", WrongSecret}, {own, "Authorization", "Bearer s3cret", Missing}, {own, "X-Api-Key", strings.Repeat("x", 5000), Malformed},
		{basic, "Authorization", "Basic " + in("ann:a:b"), ""}, {basic, "Authorization", "basic " + in("ann:a:b"), ""}, {basic, "Authorization", "Basic " + in("ann:a"), WrongSecret},
		{basic, "Authorization", "Basic %%%", Malformed}, {basic, "Authorization", "Bearer x", Malformed}, {scheme1("none", ""), "X", "y", ""},
	} {
		if got := reason(t, verifier(t, c.source, nil), post("{}", c.name, c.value)); got != c.want {
			t.Errorf("%s %s: %s: %q, want %q", c.source.Verify.Scheme, c.name, c.value, got, c.want)
		}
	}
}

func TestWhatNothingTellsApartIsAnotherEventEachTime(t *testing.T) {
	named := scheme1("none", "")
	named.Verify.ID, named.Verify.Type = "header:X-Id", "kind"
	for _, c := range []struct {
		source config.Webhook
		same   bool
	}{{scheme1("none", ""), false}, {scheme1("bearer", "s3cret"), false}, {named, true}, {generic1(config.HMAC{Header: "X-Sig"}), true}} {
		v, sum := verifier(t, c.source, nil), sumOf(newMACKey(sha256.New, []byte("secret")), `{"kind":"tick"}`)
		ask := func() Event {
			e, err := v.Verify(t.Context(), post(`{"kind":"tick"}`, "Authorization", "Bearer s3cret", "X-Id", "a", "X-Sig", hex.EncodeToString(sum)))
			if err != nil || e.ID == "" {
				t.Fatal(c.source.Verify, e, err)
			}
			return e
		}
		if one, two := ask(), ask(); (one == two) != c.same || c.source.Verify.Type != "" && one != (Event{ID: "a", Type: "tick"}) {
			t.Errorf("%+v: %v %v", c.source.Verify, one, two)
		}
	}
}

func TestARefusalIsAFault(t *testing.T) {
	if fault.CodeOf(refuse(WrongSecret, "x")) != fault.Unauthorized || fault.CodeOf(refuse(WrongToken, "x")) != fault.Forbidden || fault.CodeOf(refuse(WrongTopic, "x")) != fault.Forbidden {
		t.Error("a refusal is another fault")
	}
}

func generic1(h config.HMAC) config.Webhook {
	return config.Webhook{Verify: config.Verify{HMAC: &h}, Secret: "secret"}
}

func TestAnyTemplateOfAKeyedHash(t *testing.T) {
	v := verifier(t, generic1(config.HMAC{Header: "X-Sig", Algorithm: "sha512", Encoding: "base64", Prefix: "v1=", Signed: "{method}\n{url}\n{id}.{timestamp}.{body}.end", Timestamp: "X-Time", ID: "header:X-Id", Type: "a.kind"}), nil)
	signed := func(id, stamp string) *Request {
		body := `{"a":{"kind":"k"}}`
		sum := sumOf(newMACKey(sha512.New, []byte("secret")), "POST\nhttps://hooks.example.com/source\n"+id+"."+stamp+"."+body+".end")
		return post(body, "X-Sig", "v1="+base64.StdEncoding.EncodeToString(sum), "X-Time", stamp, "X-Id", id)
	}
	for _, stamp := range []string{"1800000000", "1800000000123", "2027-01-15T08:00:00Z", "2027-01-15T09:00:00.5+01:00"} {
		if e, err := v.Verify(t.Context(), signed("e1", stamp)); err != nil || e != (Event{ID: "e1", Type: "k"}) {
			t.Errorf("%s: %+v %v", stamp, e, err)
		}
	}
	for want, r := range map[Reason]*Request{TooOld: signed("e1", "1799999699"), TooNew: signed("e1", "1800000301000"), Malformed: signed("a.b", "1800000000")} {
		if got := reason(t, v, r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	r := signed("e1", "1800000000")
	r.URL += "?"
	if got := reason(t, v, r); got != WrongSignature {
		t.Error("another URL is", got)
	}
	r = signed("e1", "1800000000")
	r.Header.Set("X-Sig", strings.TrimPrefix(r.Header.Get("X-Sig"), "v1="))
	if got := reason(t, v, r); got != Malformed {
		t.Error("without the prefix it is", got)
	}
}

func TestATemplateWithoutItsBodyIsRefused(t *testing.T) {
	for _, signed := range []string{"{timestamp}", "{body}{body}", "{bodys}{body}", "{id}{body}", "{timestamp}{body}"} {
		if _, err := New(generic1(config.HMAC{Header: "X", Signed: signed}), nil); err == nil {
			t.Errorf("%q is taken", signed)
		}
	}
	v := verifier(t, generic1(config.HMAC{Header: "X", Signed: "{timestamp}{body}", Timestamp: "T"}), nil)
	if got := reason(t, v, post("1{}", "T", "1800000000", "X", "00")); got != Malformed {
		t.Error("a body that could be a time is", got)
	}
	v = verifier(t, generic1(config.HMAC{Header: "X", Signed: "{ {body} }"}), nil)
	sum := sumOf(newMACKey(sha256.New, []byte("secret")), "{ b }")
	if got := reason(t, v, post("b", "X", hex.EncodeToString(sum))); got != "" {
		t.Error("other braces are", got)
	}
}

// twilioSigned is a form, signed for a URL.
func twilioSigned(url, body string) *Request {
	sum := sumOf(newMACKey(sha1.New, []byte("tok")), url+string(joined(readForm([]byte(body)))))
	return post(body, "Content-Type", "application/x-www-form-urlencoded", "X-Twilio-Signature", base64.StdEncoding.EncodeToString(sum))
}

func TestNothingOfATwilioBodyIsLeftUnsigned(t *testing.T) {
	s := scheme1("twilio", "tok")
	s.URL = "https://hooks.example.com/source"
	v := verifier(t, s, nil)
	ask := func(r *Request, url string) *Request { r.URL = url; return r }
	jsonBody := twilioSigned("https://hooks.example.com/source", "")
	jsonBody.Body = []byte(`{"a":1}`)
	jsonBody.Header.Set("Content-Type", "application/json")
	for name, c := range map[string]struct {
		r    *Request
		want Reason
	}{
		"behind a proxy":            {ask(twilioSigned("https://hooks.example.com/source", "a=1"), "http://10.0.0.1:8080/other"), ""},
		"with its query":            {ask(twilioSigned("https://hooks.example.com/source?x=1", "a=1"), "http://10.0.0.1/?x=1"), ""},
		"with its port":             {twilioSigned("https://hooks.example.com:443/source", "a=1"), ""},
		"another host's":            {twilioSigned("https://elsewhere.example/source", "a=1"), WrongSignature},
		"JSON that has no hash":     {jsonBody, Malformed},
		"a hash of another body":    {ask(twilioSigned("https://hooks.example.com/source?bodySHA256=00", ""), "https://hooks.example.com/source?bodySHA256=00"), WrongSignature},
		"more than a form has":      {twilioSigned("https://hooks.example.com/source", strings.Repeat("a=1&", 1000)+"b=2"), Malformed},
		"a form that can't be read": {twilioSigned("https://hooks.example.com/source", "a=%zz"), Malformed},
		"an empty body":             {twilioSigned("https://hooks.example.com/source", ""), ""},
	} {
		if got := reason(t, v, c.r); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestAddressesWithAndWithoutAPort(t *testing.T) {
	for in, want := range map[string]string{
		"https://a.example/x?y=a:1": "https://a.example/x?y=a:1 https://a.example:443/x?y=a:1", "http://a.example:80": "http://a.example http://a.example:80",
		"https://[::1]/x": "https://[::1]/x https://[::1]:443/x", "https://[::1]:8443/x": "https://[::1]/x https://[::1]:8443/x", "https://u:p@a.example/x": "https://u:p@a.example/x https://u:p@a.example:443/x", "x": "x",
	} {
		if got := strings.Join(addresses(in), " "); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestWhatStandsBeforeOrAfterASignatureIsNoPartOfIt(t *testing.T) {
	good := "t=1492774577,v1=88a022085c6bdb887b02cb26ff76dd681234d9675c0f22844059f55552a8883a"
	v := verifier(t, scheme1("stripe", "whsec_test_secret"), nil)
	for value, want := range map[string]Reason{
		good: "", good + ",": "", "v1=zz," + good: "", good + ",v1=": "", strings.Replace(good, ",", ", ", 1): "",
		good + ",t=1492774577": Malformed, strings.Replace(good, "t=1", "t=+1", 1): Malformed, strings.Replace(good, "t=1", "t=01", 1): WrongSignature, good + ",x": Malformed,
		strings.Replace(good, "t=1492774577,", "", 1): Malformed, "t=1492774577": Malformed, good[:len(good)-2]: WrongSignature, good + "00": WrongSignature,
		strings.Repeat("v1="+strings.Repeat("00", 32)+",", 20) + good: Malformed, "t=99999999999999999999,v1=00": Malformed,
	} {
		r := post(`{"id":"evt_test_webhook","object":"event"}`, "Stripe-Signature", value)
		r.At = time.Unix(1492774577, 0)
		if got := reason(t, v, r); got != want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
	v = verifier(t, scheme1("shopify", "s"), nil)
	sum := base64.StdEncoding.EncodeToString(sumOf(newMACKey(sha256.New, []byte("s")), "b"))
	for value, want := range map[string]Reason{sum: "", sum[:10] + "\n" + sum[10:]: Malformed, strings.TrimRight(sum, "="): Malformed, sum + "=": Malformed, sum + " ": Malformed} {
		r := post("b")
		r.Header["X-Shopify-Hmac-Sha256"] = []string{value}
		if got := reason(t, v, r); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func TestAnIDOfStandardWebhooksHasNoDot(t *testing.T) {
	v := verifier(t, scheme1("standard", "whsec_c2VjcmV0"), nil)
	sum := base64.StdEncoding.EncodeToString(sumOf(newMACKey(sha256.New, []byte("secret")), "msg.1799999999.1800000000.body"))
	for id, stamp := range map[string]string{"msg": "1799999999", "msg.1799999999": "1800000000"} {
		body := "1800000000.body"
		if strings.Contains(id, ".") {
			body = "body"
		}
		got := reason(t, v, post(body, "Webhook-Id", id, "Webhook-Timestamp", stamp, "Webhook-Signature", "v1,"+sum))
		if want := map[bool]Reason{true: Malformed}[strings.Contains(id, ".")]; got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
}
