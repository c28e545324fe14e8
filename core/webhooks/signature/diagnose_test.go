package signature

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
)

func macHex(secret, text string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(text))
	return hex.EncodeToString(m.Sum(nil))
}

// diagnosed is what the operator is told, in one line.
func diagnosed(t *testing.T, source config.Webhook, r *Request) string {
	t.Helper()
	body := string(r.Body)
	said := strings.Join(verifier(t, source, nil).Diagnose(context.Background(), r), " ")
	if string(r.Body) != body {
		t.Errorf("the body was changed: %q", r.Body)
	}
	if strings.Contains(said, "hunter2") {
		t.Errorf("the secret is shown: %s", said)
	}
	return said
}

func TestABodyThatWasWrittenAnewIsFound(t *testing.T) {
	for name, c := range map[string][2]string{
		"indented by two":    {"{\n  \"id\": 1,\n  \"b\": [\n    1\n  ]\n}", `{"id":1,"b":[1]}`},
		"without white":      {`{"id":1,"b":[1]}`, "{\n \"id\" : 1, \"b\": [1]}"},
		"a space after":      {`{"id": 1, "t": "a,b:c\"", "b": [1, 2]}`, `{"id":1,"t":"a,b:c\"","b":[1,2]}`},
		"sorted names":       {`{"a":1.0,"b":2}`, `{"b":2,"a":1.0}`},
		`\u… for what`:       {`{"n":"caf\u00e9 \ud83d\ude00"}`, `{"n":"café 😀"}`},
		`characters for`:     {`{"n":"café 😀 \\u0041"}`, `{"n":"caf\u00e9 \ud83d\ude00 \\u0041"}`},
		`\u003c,`:            {`{"n":"\u003cb\u003e"}`, `{"n":"<b>"}`},
		`\/ for /`:           {`{"n":"a\/b"}`, `{"n":"a/b"}`},
		"without the line":   {`{"n":1}`, "{\"n\":1}\n"},
		`with \r\n at`:       {"[{\"n\":1}]\r\n", `[{"n":1}]`},
		`with \n at its end`: {"hello\n", "hello"},
		`where it has \n`:    {"a\r\nb", "a\nb"},
		`where it has \r\n`:  {"a\nb", "a\r\nb"},
		"with + for %20":     {"a=b+c", "a=b%20c"},
		"ISO 8859-1":         {"caf\xe9", "café"},
		"an empty body":      {"", "{}\n\n"}, // whose end is tried in other ways before
	} {
		said := diagnosed(t, scheme1("github", "hunter2"), post(c[1], "X-Hub-Signature-256", "sha256="+macHex("hunter2", c[0])))
		if !strings.Contains(said, name) || !strings.Contains(said, "between the source and edge") {
			t.Errorf("%q for %q: %s", c[1], c[0], said)
		}
	}
}

func TestAWrongSecretIsFound(t *testing.T) {
	sum := macHex("hunter2", "{}")
	two := scheme1("github", "")
	two.Secrets = []string{"first one", "hunter2 "}
	base, std := scheme1("github", "aHVudGVyMg=="), scheme1("standard", base64.StdEncoding.EncodeToString([]byte("whatever")))
	standard := func(key string) *Request {
		m := hmac.New(sha256.New, []byte(key))
		m.Write([]byte("m.1800000000.{}"))
		return post("{}", "Webhook-Id", "m", "Webhook-Timestamp", "1800000000", "Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(m.Sum(nil)))
	}
	stripe := func(key string) *Request {
		return post("{}", "Stripe-Signature", "t=1800000000,v1="+macHex(key, "1800000000.{}"))
	}
	for name, c := range map[string]struct {
		source config.Webhook
		r      *Request
		want   string
	}{
		"another":         {scheme1("github", "other"), post("{}", "X-Hub-Signature-256", "sha256="+sum), "most likely another one"},
		"white space":     {two, post("{}", "X-Hub-Signature-256", "sha256="+sum), "the second of the two secrets without the white space"},
		"neither":         {two, post("{ }", "X-Hub-Signature-256", "sha256="+macHex("x", "")), "neither of the two secrets"},
		"quotes":          {scheme1("github", `"hunter2"`), post("{}", "X-Hub-Signature-256", "sha256="+sum), "without the quotes"},
		"in Base64":       {base, post("{}", "X-Hub-Signature-256", "sha256="+sum), "the bytes that it says in Base64"},
		"in hex":          {scheme1("github", hex.EncodeToString([]byte("hunter2"))), post("{}", "X-Hub-Signature-256", "sha256="+sum), "the bytes that it says in hexadecimal"},
		"prefix":          {scheme1("stripe", "whsec_abc"), stripe("abc"), "without whsec_"},
		"no prefix":       {scheme1("stripe", "abc"), stripe("whsec_abc"), "with whsec_ before it"},
		"not Base64":      {std, standard(std.Secret), "as it is written"},
		"and the body":    {scheme1("github", " hunter2"), post("{}\n", "X-Hub-Signature-256", "sha256="+sum), "without the white space around it: mend it in the configuration. Beside that: The signature fits the body without the line break"},
		"bearer":          {scheme1("bearer", "hunter2 "), post("{}", "Authorization", "Bearer hunter2"), "without the white space"},
		"bearer's prefix": {scheme1("bearer", "Bearer hunter2"), post("{}", "Authorization", "Bearer hunter2"), "without Bearer"},
	} {
		if said := diagnosed(t, c.source, c.r); !strings.Contains(said, c.want) {
			t.Errorf("%s: %s\nwant %s", name, said, c.want)
		}
	}
}

func TestASignatureInAnotherEncodingIsFound(t *testing.T) {
	sum := must(hex.DecodeString(macHex("hunter2", "{}")))
	b64 := base64.StdEncoding.EncodeToString(sum)
	plain := config.HMAC{Header: "X-Sig"}
	inBase64, prefixed := plain, plain
	inBase64.Encoding, prefixed.Prefix = "base64", "sha256="
	with := func(h config.HMAC) config.Webhook { s := generic1(h); s.Secret = "hunter2"; return s }
	for name, c := range map[string]struct {
		source config.Webhook
		r      *Request
		want   string
	}{
		"base64 for hex":       {with(plain), post("{}", "X-Sig", b64), "if X-Sig were written in hexadecimal"},
		"hex for base64":       {with(inBase64), post("{}", "X-Sig", hex.EncodeToString(sum)), "in Base64, and not in hexadecimal"},
		"github in base64":     {scheme1("github", "hunter2"), post("{}", "X-Hub-Signature-256", "sha256="+b64), "X-Hub-Signature-256"},
		"a superfluous prefix": {with(plain), post("{}", "X-Sig", "sha256="+hex.EncodeToString(sum)), "without sha256= before it"},
		"a missing prefix":     {with(prefixed), post("{}", "X-Sig", hex.EncodeToString(sum)), "with sha256= before it"},
		"quotes":               {with(plain), post("{}", "X-Sig", `"`+hex.EncodeToString(sum)+`"`), "quotes"},
	} {
		if said := diagnosed(t, c.source, c.r); !strings.Contains(said, c.want) {
			t.Errorf("%s: %s", name, said)
		}
	}
}

func TestTheClockIsFound(t *testing.T) {
	for skew, want := range map[time.Duration]string{7*time.Minute + 12*time.Second: "7m12s before it came, and 5m0s is allowed", -time.Hour: "1h0m0s after it came"} {
		r := post("{}", "Stripe-Signature", "t=1800000000,v1="+macHex("s", "1800000000.{}"))
		r.At = r.At.Add(skew)
		if said := diagnosed(t, scheme1("stripe", "s"), r); !strings.Contains(said, want) || !strings.Contains(said, "The signature itself is good") {
			t.Errorf("%s: %s", skew, said)
		}
	}
}

func TestTheURLOfTwilioIsFound(t *testing.T) {
	for _, signedFor := range []string{"https://hooks.example.com/sms", "http://hooks.example.com/sms", "https://hooks.example.com:8443/sms", "https://hooks.example.com/sms/"} {
		m := hmac.New(sha1.New, []byte("hunter2"))
		m.Write([]byte(signedFor + "a1"))
		r := post("a=1", "Content-Type", "application/x-www-form-urlencoded", "X-Twilio-Signature", base64.StdEncoding.EncodeToString(m.Sum(nil)))
		r.URL = "http://hooks.example.com:8080/sms"
		said := diagnosed(t, scheme1("twilio", "hunter2"), r)
		if good := signedFor == "http://hooks.example.com/sms"; good != (said == "") || !good && !strings.Contains(said, "the URL "+signedFor+":") {
			t.Errorf("%s: %s", signedFor, said)
		}
	}
}

func TestAnotherProvidersFieldsAreFound(t *testing.T) {
	if said := diagnosed(t, scheme1("github", "s"), post("{}", "Stripe-Signature", "t=1,v1=00")); !strings.Contains(said, "There is no X-Hub-Signature-256.") || !strings.Contains(said, "Stripe-Signature, as stripe sends it") {
		t.Error(said)
	}
	if said := diagnosed(t, scheme1("github", "s"), post("{}", "Authorization", "Bearer x")); !strings.Contains(said, "bearer or basic") || strings.Contains(said, "Bearer x") {
		t.Error(said)
	}
}

func TestALookThatWasRefusedIsExplained(t *testing.T) {
	s := scheme1("meta", "s")
	s.Token = "hunter2"
	if said := diagnosed(t, s, get("hub.mode=subscribe&hub.verify_token=x&hub.challenge=1")); said != "Hub.verify_token is not the source's token." {
		t.Error(said)
	}
}

// FuzzRewrites: no rewriting panics or spoils what it is given, and one of valid JSON stays valid JSON, unless it says otherwise.
func FuzzRewrites(f *testing.F) {
	for _, seed := range []string{`{"a":"\u00e9\ud83d\ude00\\u0041\ud800\/"}`, `[1.0,{"b":"<&>"}]`, "a=b%20c", "\xff", ""} {
		f.Add([]byte(seed))
	}
	all := rewrites()
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 1<<12 {
			return
		}
		for _, w := range all {
			out := w.do([]byte(string(body)))
			if out != nil && strings.HasPrefix(w.say, "as JSON") && !json.Valid(out) {
				t.Fatalf("%s makes %q of %q", w.say, out, body)
			}
		}
		_ = resigned(string(body), "sha256=")
		_ = wordings(string(body))
		_ = otherURLs(string(body))
	})
}
