package signature

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
)

// told is what a request is answered with: "" for nothing, or the reason of a refusal.
func told(t *testing.T, v *Verifier, r *Request) string {
	t.Helper()
	a, err := v.Handshake(context.Background(), r)
	switch {
	case err != nil:
		return string(reasonOf(t, err))
	case a == nil:
		return ""
	case len(a.Body) > 0 && a.Header.Get("X-Content-Type-Options") != "nosniff":
		t.Error("a browser may take the answer for a page")
	}
	return strings.TrimSpace(http.StatusText(a.Status) + " " + string(a.Body))
}

func slackSigned(body, secret string) *Request {
	k := newMACKey(sha256.New, []byte(secret))
	return post(body, "X-Slack-Request-Timestamp", "1800000000", "X-Slack-Signature", "v0="+hex.EncodeToString(sumOf(k, "v0:1800000000:"+body)), "Content-Type", "application/json")
}

func TestSlackIsToldItsChallengeWhenItIsSlack(t *testing.T) {
	v := verifier(t, scheme1("slack", "s"), nil)
	const body = `{"token":"x","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}`
	for _, c := range []struct {
		r    *Request
		want string
	}{
		{slackSigned(body, "s"), "OK 3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"},
		{slackSigned(body, "other"), "wrong_signature"},
		{post(body), "missing"},
		{slackSigned(`{"type":"url_verification","challenge":"<script>"}`, "s"), "malformed"},
		{slackSigned(`{"type":"event_callback"}`, "s"), ""},
		{slackSigned(`{"event":{"type":"url_verification"}}`, "other"), ""},
	} {
		if got := told(t, v, c.r); got != c.want {
			t.Errorf("%s: %q, want %q", c.r.Body, got, c.want)
		}
	}
}

func TestDiscordIsToldWhatEachOfItsPingsAsksFor(t *testing.T) {
	public, private, _ := ed25519.GenerateKey(nil)
	v := verifier(t, scheme1("discord", hex.EncodeToString(public)), nil)
	for body, want := range map[string]string{
		`{"type":1,"id":"1","token":"t"}`:                                  `OK {"type":1}`,
		`{"version":1,"application_id":"1","type":0}`:                      "No Content",
		`{"version":1,"type":1,"event":{"type":"APPLICATION_AUTHORIZED"}}`: "", // a webhook event
		`{"type":2,"id":"1"}`:                                              "",
		`{"type":"1"}`:                                                     "",
		`{"type":1,"type":2}`:                                              "",
		`{"version":1,"type":1,"event":null}`:                              `OK {"type":1}`,
	} {
		r := post(body, "X-Signature-Timestamp", "1800000000", "X-Signature-Ed25519", hex.EncodeToString(ed25519.Sign(private, []byte("1800000000"+body))))
		if got := told(t, v, r); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
		r.Header.Set("X-Signature-Ed25519", strings.Repeat("00", 64))
		if got := told(t, v, r); want != "" && got != "wrong_signature" {
			t.Errorf("%s with a bad signature, as Discord sends it to see: %q", body, got)
		}
	}
}

func TestXGetsItsResponseButNoSignatureOfADelivery(t *testing.T) {
	s := scheme1("x", "")
	s.Secrets = []string{"consumer_secret", "old"}
	v := verifier(t, s, nil)
	if got := told(t, v, get("crc_token=challenge_string&nonce=1")); got != `OK {"response_token":"sha256=v1WdiCVwy17uGTMWveHGlqQXN/qW1bQraNXXByRO2YA="}` {
		t.Error("it is told", got)
	}
	// What the answer would be to a token that is the body of a delivery is the signature of that delivery.
	if got := told(t, v, get("crc_token="+url.QueryEscape(`{"a":1}`))); got != "malformed" {
		t.Error("a token that is a body is told", got)
	}
	mac := newMACKey(sha256.New, []byte("consumer_secret"))
	r := post("challenge_string", "X-Twitter-Webhooks-Signature", "sha256="+base64.StdEncoding.EncodeToString(sumOf(mac, "challenge_string")))
	if got := reason(t, v, r); got != Malformed {
		t.Error("a token that was signed is a delivery:", got)
	}
	r = post(`{"a":1}`, "X-Twitter-Webhooks-Signature", "sha256="+base64.StdEncoding.EncodeToString(sumOf(mac, `{"a":1}`)))
	if got := reason(t, v, r); got != "" || told(t, v, r) != "" {
		t.Error("a delivery is", got)
	}
}

func TestMetaAndHubsAreToldTheirChallengeForTheToken(t *testing.T) {
	meta, other, bare := scheme1("meta", "s"), scheme1("none", ""), scheme1("none", "")
	meta.Token, other.Token = "tok en", "tok en"
	for _, c := range []struct {
		source config.Webhook
		query  string
		want   string
	}{
		{meta, "hub.mode=subscribe&hub.verify_token=tok+en&hub.challenge=1158201444", "OK 1158201444"},
		{meta, "hub.mode=subscribe&hub.verify_token=other&hub.challenge=1158201444", "wrong_token"},
		{meta, "hub.mode=subscribe&hub.challenge=1158201444", "wrong_token"},
		{meta, "hub.mode=x&hub.verify_token=tok+en&hub.challenge=1", "malformed"},
		{meta, "hub.mode=subscribe&hub.verify_token=tok+en&hub.challenge=%3Cb%3E", "malformed"},
		{meta, "challenge=1", ""},
		{scheme1("meta", "s"), "hub.mode=subscribe&hub.verify_token=&hub.challenge=1", "wrong_token"},
		{other, "hub.mode=unsubscribe&hub.verify_token=tok+en&hub.challenge=abc&hub.topic=x", "OK abc"},
		{other, "challenge=dropbox", "OK dropbox"},
		{other, "challenge=a&challenge=b", "malformed"},
		{bare, "challenge=dropbox", ""},
		{bare, "hub.mode=subscribe&hub.challenge=abc", ""},
	} {
		if got := told(t, verifier(t, c.source, nil), get(c.query)); got != c.want {
			t.Errorf("%s: %q, want %q", c.query, got, c.want)
		}
	}
	r := get("challenge=x")
	r.Method = http.MethodPost
	if got := told(t, verifier(t, other, nil), r); got != "" {
		t.Error("a POST is told", got)
	}
}

func TestGraphIsToldItsToken(t *testing.T) {
	v := verifier(t, scheme1("graph", "state"), nil)
	r := get("validationToken=" + url.QueryEscape("Validation: Testing client application reachability for subscription Request-Id: 5a8e"))
	for _, r.Method = range []string{http.MethodPost, http.MethodGet} {
		if got := told(t, v, r); got != "OK Validation: Testing client application reachability for subscription Request-Id: 5a8e" {
			t.Errorf("by %s it is told %q", r.Method, got)
		}
	}
	if got := told(t, v, get("validationToken=%3Cscript%3E")); got != "malformed" {
		t.Error("markup is told", got)
	}
}

func TestEveryNotificationOfGraphHasTheState(t *testing.T) {
	s := scheme1("graph", "")
	s.Secrets = []string{"new", "old"}
	v := verifier(t, s, nil)
	for body, want := range map[string]Reason{
		`{"value":[{"clientState":"new","changeType":"created"},{"clientState":"old"}]}`: "",
		`{"value":[{"clientState":"new"},{"clientState":"x"}]}`:                          WrongSecret,
		`{"value":[{"clientState":"new"},{}]}`:                                           Missing,
		`{"value":[{"clientState":"x","clientState":"new"}]}`:                            Malformed,
		`{"value":[]}`:                            Malformed,
		`{"value":{}}`:                            Malformed,
		`{"clientState":"new"}`:                   Malformed,
		`{"value":[{"a":{"clientState":"new"}}]}`: Missing,
		`x`: Malformed,
	} {
		if got := reason(t, v, post(body)); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

// snsOf makes a message that is signed with the tests' key.
func snsOf(change func(m map[string]string)) *Request {
	m := map[string]string{
		"Type": "SubscriptionConfirmation", "MessageId": "id-1", "Message": "m", "Token": "t", "TopicArn": "arn:aws:sns:us-west-2:123456789012:orders",
		"Timestamp": "2027-01-15T08:00:00.000Z", "SignatureVersion": "2", "SigningCertURL": "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
		"SubscribeURL": "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:us-west-2:123456789012:orders&Token=t",
	}
	change(m)
	message := must(readMessage(must(json.Marshal(withSignature(m, "AA==")))))
	text := must(message.signed())
	return post(string(must(json.Marshal(withSignature(m, base64.StdEncoding.EncodeToString(signRSA(text)))))))
}

func withSignature(m map[string]string, signature string) map[string]string {
	m["Signature"] = signature
	return m
}

func snsProvider(t *testing.T, then http.HandlerFunc) *provider {
	p := newProvider(t, nil)
	_, leaf := p.issue(t, &x509.Certificate{}, rsaKey())
	p.answer = func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".pem") {
			says(leaf)(w, r)
			return
		}
		then(w, r)
	}
	return p
}

func snsSource(topics ...string) config.Webhook {
	return config.Webhook{Verify: config.Verify{Scheme: "sns"}, Topics: topics}
}

func TestATopicThatIsListedIsSubscribedTo(t *testing.T) {
	p := snsProvider(t, says([]byte("<ok/>")))
	v := verifier(t, snsSource("arn:aws:sns:us-west-2:123456789012:*"), p.client)
	a, err := v.Handshake(context.Background(), snsOf(func(map[string]string) {}))
	if err != nil || a == nil || a.Status != http.StatusOK || !strings.Contains(a.Note, ":orders") {
		t.Fatal(a, err)
	}
	if asked := p.requests(); len(asked) != 2 || !strings.HasPrefix(asked[1], "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&") {
		t.Error("it asked for", asked)
	}
	a, err = v.Handshake(context.Background(), snsOf(func(m map[string]string) { m["Type"] = "UnsubscribeConfirmation" }))
	if err != nil || a == nil || a.Status != http.StatusOK || !strings.Contains(a.Note, "ended") || len(p.requests()) != 2 {
		t.Error("an end of the subscription:", a, err, p.requests())
	}
}

func TestNothingElseIsSubscribedToOrFetched(t *testing.T) {
	p := snsProvider(t, says(nil))
	v := verifier(t, snsSource("arn:aws:sns:us-west-2:123456789012:orders"), p.client)
	for name, c := range map[string]struct {
		key, value string
		want       string
		fetches    bool
	}{
		"another topic":           {"TopicArn", "arn:aws:sns:us-west-2:666666666666:orders", "wrong_topic", false},
		"a certificate elsewhere": {"SigningCertURL", "https://elsewhere.example/SimpleNotificationService-0.pem", "wrong_certificate", false},
		"a bucket":                {"SigningCertURL", "https://sns.s3-us-west-2.amazonaws.com/SimpleNotificationService-0.pem", "wrong_certificate", false},
		"a user":                  {"SigningCertURL", "https://sns.us-west-2.amazonaws.com@elsewhere.example/SimpleNotificationService-0.pem", "wrong_certificate", false},
		"a port":                  {"SigningCertURL", "https://sns.us-west-2.amazonaws.com:444/SimpleNotificationService-0.pem", "wrong_certificate", false},
		"another path":            {"SigningCertURL", "https://sns.us-west-2.amazonaws.com/?x=.pem", "wrong_certificate", false},
		"http":                    {"SigningCertURL", "http://sns.us-west-2.amazonaws.com/SimpleNotificationService-0.pem", "wrong_certificate", false},
		"confirms elsewhere":      {"SubscribeURL", "https://elsewhere.example/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:us-west-2:123456789012:orders&Token=t", "malformed", true},
		"confirms another topic":  {"SubscribeURL", "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:us-west-2:666666666666:x&Token=t", "malformed", true},
		"does something else":     {"SubscribeURL", "https://sns.us-west-2.amazonaws.com/?Action=DeleteTopic&TopicArn=arn:aws:sns:us-west-2:123456789012:orders", "malformed", true},
		"no version":              {"SignatureVersion", "3", "malformed", true},
		"too old":                 {"Timestamp", "2027-01-15T06:00:00.000Z", "too_old", true},
	} {
		before := len(p.requests())
		if got := told(t, v, snsOf(func(m map[string]string) { m[c.key] = c.value })); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if after := p.requests()[before:]; len(after) > 0 && (!c.fetches || strings.Contains(after[0], "Action")) {
			t.Errorf("%s: it fetched %q", name, after)
		}
	}
	r := snsOf(func(map[string]string) {})
	r.Body = []byte(strings.Replace(string(r.Body), `"Token":"t"`, `"Token":"u"`, 1))
	if got := told(t, v, r); got != "wrong_signature" {
		t.Error("another token is", got)
	}
	for _, body := range []string{`{"Type":"SubscriptionConfirmation"}`, `{"Type":"SubscriptionConfirmation","MessageId":"a\nb"}`, `{"Type":"SubscriptionConfirmation","Token":1}`} {
		if got := told(t, v, post(body)); got != "missing" && got != "malformed" {
			t.Errorf("%s: %q", body, got)
		}
	}
}

func TestAConfirmationThatFailsIsTriedAgainByAWS(t *testing.T) {
	for name, then := range map[string]http.HandlerFunc{
		"an error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
		},
	} {
		p := snsProvider(t, then)
		v := verifier(t, snsSource("*"), p.client)
		_, err := v.Handshake(context.Background(), snsOf(func(map[string]string) {}))
		if fault.CodeOf(err) != fault.Unavailable || strings.Contains(err.Error(), "Token") {
			t.Errorf("%s: %v", name, err)
		}
		if asked := p.requests(); len(asked) != 2 {
			t.Errorf("%s: it asked for %q", name, asked)
		}
	}
}

func TestADeferredAnswerIsWhatTheSourceKnows(t *testing.T) {
	key := strings.Repeat("ab", 32)
	for scheme, want := range map[string]string{"slack": "200 ", "discord": `200 {"type":5}`, "twilio": `200 <?xml version="1.0" encoding="UTF-8"?><Response></Response>`, "github": "202 "} {
		a := verifier(t, scheme1(scheme, key), nil).Deferred()
		if got := strings.Join([]string{strconv.Itoa(a.Status), string(a.Body)}, " "); got != want {
			t.Errorf("%s is told %q, want %q", scheme, got, want)
		}
	}
}
