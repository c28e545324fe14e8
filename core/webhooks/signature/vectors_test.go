package signature

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
)

// A vector is a delivery that a vendor's own SDK has signed or accepted; testdata/vectors.mjs makes them.
type vector struct {
	Scheme, SDK, Secret string
	Body                []byte
	Headers             map[string]string
	At                  int64
	ID, Type, URL, PEM  string
	Topics              []string
}

func vectors(t testing.TB) (all []vector) {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &all); err != nil || len(all) < 20 {
		t.Fatal("vectors.json", len(all), err)
	}
	return all
}

func (v vector) source() config.Webhook {
	return config.Webhook{Verify: config.Verify{Scheme: v.Scheme}, Secret: v.Secret, Topics: v.Topics, Tolerance: 5 * time.Minute}
}

func (v vector) request() *Request {
	r := post(string(v.Body))
	r.At = time.Unix(v.At, 0)
	if v.URL != "" {
		r.URL = v.URL
	}
	for name, value := range v.Headers {
		r.Header.Set(name, value)
	}
	return r
}

// client is a provider that has the vector's certificate.
func (v vector) client(t testing.TB) *http.Client {
	if v.PEM == "" {
		return nil
	}
	return newProvider(t, says([]byte(v.PEM))).client
}

func TestWhatTheVendorsSDKsSignIsGood(t *testing.T) {
	for _, vec := range vectors(t) {
		t.Run(vec.SDK+" "+vec.Type, func(t *testing.T) {
			v := verifier(t, vec.source(), vec.client(t))
			e, err := v.Verify(context.Background(), vec.request())
			if err != nil {
				t.Fatal(err)
			}
			if vec.ID != "" && e.ID != vec.ID || e.Type != vec.Type {
				t.Errorf("it is %+v, want %s %s", e, vec.ID, vec.Type)
			}
			if said := v.Diagnose(context.Background(), vec.request()); said != nil {
				t.Errorf("a good one is diagnosed: %q", said)
			}
		})
	}
}

func TestWhatWasChangedIsRefused(t *testing.T) {
	for _, vec := range vectors(t) {
		t.Run(vec.SDK+" "+vec.Type, func(t *testing.T) {
			v := verifier(t, vec.source(), vec.client(t))
			for i := range vec.Body {
				if vec.Scheme == "sns" && i%23 > 0 { // RSA takes its time; what of the body is not signed is tested by itself
					continue
				}
				r := vec.request()
				r.Body[i] ^= 1
				if e, err := v.Verify(context.Background(), r); err == nil && !(vec.Scheme == "sns" && unsignedOfSNS(vec, r)) && !(vec.Scheme == "twilio" && sameForm(vec, r)) {
					t.Fatalf("with byte %d changed it is %+v: %q", i, e, r.Body)
				}
			}
			for name := range vec.Headers {
				r := vec.request()
				r.Header.Add(name, r.Header.Get(name))
				if strings.Contains(strings.ToLower(name), "signature") && reason(t, v, r) != Malformed {
					t.Errorf("%s twice is not malformed", name)
				}
				r.Header.Del(name)
				if strings.Contains(strings.ToLower(name), "signature") && reason(t, v, r) != Missing {
					t.Errorf("no %s is not missing", name)
				}
			}
		})
	}
}

// unsignedOfSNS reports whether a changed body says the same, or differs only where AWS does not sign.
func unsignedOfSNS(vec vector, r *Request) bool {
	was, err := readMessage(vec.Body)
	is, err2 := readMessage(r.Body)
	if err != nil || err2 != nil {
		return false
	}
	a, _ := was.signed()
	b, _ := is.signed()
	return string(a) == string(b)
}

func sameForm(vec vector, r *Request) bool {
	return string(joined(readForm(vec.Body))) == string(joined(readForm(r.Body)))
}

func TestTheTimeIsBoundedBothWays(t *testing.T) {
	timed := map[string]bool{"standard": true, "stripe": true, "slack": true, "linear": true, "paddle": true, "sendgrid": true, "discord": true, "sns": true}
	seen := map[string]bool{}
	for _, vec := range vectors(t) {
		if !timed[vec.Scheme] || seen[vec.Scheme] {
			continue
		}
		seen[vec.Scheme] = true
		v := verifier(t, vec.source(), vec.client(t))
		past := 5 * time.Minute
		if vec.Scheme == "sns" {
			past = snsAge
		}
		for skew, want := range map[time.Duration]Reason{past: "", past + time.Second: TooOld, -5 * time.Minute: "", -5*time.Minute - time.Second: TooNew} {
			r := vec.request()
			r.At = r.At.Add(skew)
			if got := reason(t, v, r); got != want {
				t.Errorf("%s: signed %s before: %q, want %q", vec.Scheme, skew, got, want)
			}
		}
	}
	if len(seen) != len(timed) {
		t.Errorf("only %v have vectors", seen)
	}
}

func TestEachOfTwoSecretsIsGoodAndNoOther(t *testing.T) {
	for _, vec := range vectors(t) {
		if vec.Secret == "" {
			continue
		}
		other := map[string]string{
			"standard": "whsec_b3RoZXI=", "discord": strings.Repeat("ab", 32), "stripe": "whsec_other",
			"sendgrid": "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==",
		}[vec.Scheme]
		if other == "" {
			other = "another"
		}
		for secrets, want := range map[[2]string]Reason{{vec.Secret, other}: "", {other, vec.Secret}: "", {other, other}: WrongSignature} {
			s := vec.source()
			s.Secret, s.Secrets = "", secrets[:]
			if got := reason(t, verifier(t, s, nil), vec.request()); got != want {
				t.Errorf("%s with %q: %q, want %q", vec.SDK, secrets, got, want)
			}
		}
	}
}

const slackBody = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"

// TestPublishedVectors: those of the vendors' documentation and of their SDKs' own tests.
func TestPublishedVectors(t *testing.T) {
	const cafe = `{"id":1,"note":"café"}`
	svix := []string{"svix-id", "msg_loFOjxBNrRLzqYUf", "svix-timestamp", "1731705121", "svix-signature"}
	digits := "Digits=1234&CallSid=CA1234567890ABCDE&To=%2B18005551212&Caller=%2B14158675309&From=%2B14158675309"
	form := []string{"Content-Type", "application/x-www-form-urlencoded", "X-Twilio-Signature"}
	for name, c := range map[string]struct {
		scheme, secret string
		at             int64
		body           string
		fields         []string
		want           Reason
	}{
		"github":     {"github", "It's a Secret to Everybody", 0, "Hello, World!", []string{"X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}, ""},
		"sha1 alone": {"github", "It's a Secret to Everybody", 0, "Hello, World!", []string{"X-Hub-Signature", "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59"}, Missing},
		"slack": {"slack", "8f742231b10e8888abcd99yyyzzz85a5", 1531420618, slackBody, []string{"X-Slack-Request-Timestamp", "1531420618",
			"X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"}, ""},
		"svix v1": {"standard", "whsec_plJ3nmyCDGBKInavdOK15jsl", 1731705121, `{"event_type":"ping","data":{"success":true}}`, append(svix[:5:5], "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="), ""},
		"svix v1a": {"standard", "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", 1614265330, `{"test": 2432232314}`, []string{
			"svix-id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "svix-timestamp", "1614265330", "svix-signature", "v1,aaaa v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="}, ""},
		"stripe": {"stripe", "whsec_test_secret", 1492774577, `{"id":"evt_test_webhook","object":"event"}`, []string{"Stripe-Signature",
			"t=1492774577,v1=88a022085c6bdb887b02cb26ff76dd681234d9675c0f22844059f55552a8883a"}, ""},
		"stripe v0":     {"stripe", "whsec_test_secret", 1492774577, `{"id":"evt_test_webhook","object":"event"}`, []string{"Stripe-Signature", "t=1492774577,v0=88a022085c6bdb887b02cb26ff76dd681234d9675c0f22844059f55552a8883a"}, Malformed},
		"twilio":        {"twilio", "12345", 0, digits, append(form[:3:3], "RSOYDt4T1cUTdK1PDd93/VVr8B8="), ""},
		"twilio sorted": {"twilio", "12345", 0, digits + "&ReasonConferenceEnded=test&Reason=Participant", append(form[:3:3], "vOEb5UThFn24KEfnOFLQY2AE5FY="), ""},
		"twilio in another order": {"twilio", "12345", 0, digits + "&ReasonConferenceEnded=test&Reason=Participant",
			append(form[:3:3], "95+Bu0JVPi0r/SsESZCVf0dWAjw="), WrongSignature},
		"paddle": {"paddle", "VALID_SECRET", 1698796800, `{"data": ["1", "2"]}`, []string{"Paddle-Signature",
			"ts=1698796800;h1=a300428748dce5c70e4da19bffd60769591ea969c99dea3105d0ec9612cf43f9;h1=0000;h2=abc"}, ""},
		"shopify":       {"shopify", "shpss_test_secret", 0, cafe, []string{"X-Shopify-Hmac-Sha256", "sKJLII/iwUWIsRXTBVj3YofPVdZUalx9WMu6LAaSeXs="}, ""},
		"shopify event": {"shopify", "shpss_test_secret", 0, cafe, []string{"Shopify-Hmac-Sha256", "sKJLII/iwUWIsRXTBVj3YofPVdZUalx9WMu6LAaSeXs="}, ""},
		"meta":          {"meta", "app_secret", 0, cafe, []string{"X-Hub-Signature-256", "sha256=8edf56bd75ecea771af10de27a8ef4aaaa40d91ee5645bb5876876f04dbca42b"}, ""},
		"linear": {"linear", "lin_wh_test", 1676056940, `{"action":"create","type":"Issue","webhookTimestamp":1676056940508}`,
			[]string{"Linear-Signature", "ff25c330f9ba785156f797c0286889537103fe928b8050bfc2dfac1830b969ba"}, ""},
		"discord, of RFC 8032": {"discord", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", 1700000000, `{"type":1}`, []string{"X-Signature-Timestamp", "1700000000",
			"X-Signature-Ed25519", "1695961a47c91a1ec033b819b7e87e3dbc583dd0cee6d1fd0216f58ac87b6228ae531ddbf91fb7bc28d7edf7f08604da16f54624f38a6bc0614e4dc13cd47f0f"}, ""},
	} {
		r := post(c.body, c.fields...)
		r.At = time.Unix(c.at, 0)
		if c.scheme == "twilio" {
			r.URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
		}
		if got := reason(t, verifier(t, scheme1(c.scheme, c.secret), nil), r); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
