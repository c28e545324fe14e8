package signature

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// maxPaired is the size, in bytes, of a body that is tried with two changes at once.
const maxPaired = 64 << 10

// Diagnose says, in sentences, why a delivery that was refused is not the source's, and which change would have made it fit; nothing if it is good. It
// is for the operator alone, and hashes the body some hundred times.
func (v *Verifier) Diagnose(ctx context.Context, r *Request) []string {
	var err error
	if r.Method == http.MethodGet { // a look, if anything; it fetches nothing
		_, err = v.Handshake(ctx, r)
	} else {
		err = v.scheme.verify(ctx, r)
	}
	if err == nil {
		return nil
	}
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok {
		return []string{err.Error()}
	}
	said := []string{upper(refusal.Detail) + "."}
	switch refusal.Reason {
	case TooOld:
		return append(said, "The signature itself is good. If this host's clock is right, the delivery was held up, or sent again by somebody: tolerance says how old one may be.")
	case TooNew:
		return append(said, "The signature itself is good. Compare this host's clock with the time of the network (timedatectl); tolerance says how far off it may be.")
	case WrongTopic, WrongCertificate, WrongToken:
		return said
	case Missing:
		said = append(said, foreign(r.Header, v.source.Verify.Scheme)...)
	case Malformed, WrongSignature, WrongSecret:
	}
	if r.Method == http.MethodGet {
		return said
	}
	if found := v.search(ctx, r); found != "" {
		return append(said, found)
	}
	if (refusal.Reason == WrongSignature || refusal.Reason == WrongSecret) && ctx.Err() == nil {
		said = append(said, "No change of the body or the secret that is known of makes it fit: the secret is most likely another one, on one side or the other. Copy it from the source once more.")
	}
	return said
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// foreign names other providers whose fields a request has.
func foreign(h http.Header, scheme string) (said []string) {
	for _, f := range [][2]string{
		{"Stripe-Signature", "stripe"}, {"X-Hub-Signature-256", "github"}, {"X-Slack-Signature", "slack"}, {"X-Shopify-Hmac-Sha256", "shopify"}, {"Shopify-Hmac-Sha256", "shopify"},
		{"X-Twilio-Signature", "twilio"}, {"Paypal-Transmission-Sig", "paypal"}, {"Linear-Signature", "linear"}, {"Paddle-Signature", "paddle"},
		{"X-Twilio-Email-Event-Webhook-Signature", "sendgrid"}, {"X-Signature-Ed25519", "discord"}, {"X-Twitter-Webhooks-Signature", "x"},
		{"X-Amz-Sns-Message-Type", "sns"}, {"Webhook-Signature", "standard"}, {"Svix-Signature", "standard"},
	} {
		if h.Get(f[0]) != "" && f[1] != scheme && (scheme != "meta" || f[1] != "github") {
			said = append(said, fmt.Sprintf("It has %s, as %s sends it: is the source's verify the right one?", f[0], f[1]))
		}
	}
	if len(said) == 0 && h.Get("Authorization") != "" && scheme != "bearer" && scheme != "basic" {
		said = append(said, "It has Authorization: perhaps the source does not sign, and is to be verified by bearer or basic.")
	}
	return said
}

// search tries one change, then, unless that takes too long, two: of the secret, and of what came.
func (v *Verifier) search(ctx context.Context, r *Request) string {
	requests := v.requests(r)
	for _, c := range requests {
		if ctx.Err() == nil && v.fits(ctx, v.source.Keys(), c) {
			return c.sentence()
		}
	}
	keys := v.source.Keys()
	for i, secret := range keys {
		for _, w := range wordings(secret) {
			which := "the secret"
			if len(keys) == 2 {
				which = [2]string{"the first of the two secrets", "the second of the two secrets"}[i]
			}
			said := fmt.Sprintf("The signature fits %s %s: mend it in the configuration", which, w.say)
			if v.fits(ctx, []string{w.value}, changed{Request: r}) {
				return said + "."
			}
			for _, c := range requests {
				if len(r.Body) <= maxPaired && ctx.Err() == nil && v.fits(ctx, []string{w.value}, c) {
					return said + ". Beside that: " + c.sentence()
				}
			}
		}
	}
	return ""
}

// fits reports whether a changed delivery is good, whatever its time.
func (v *Verifier) fits(ctx context.Context, secrets []string, c changed) bool {
	other := &Verifier{source: v.source, certs: v.certs}
	if c.url {
		other.source.URL = ""
	}
	s, err := other.build(secrets)
	if err != nil {
		return false
	}
	err = s.verify(ctx, c.Request)
	refusal, ok := errors.AsType[*Refusal](err)
	return err == nil || ok && (refusal.Reason == TooOld || refusal.Reason == TooNew)
}

// A changed request is what one could have been before something happened to it.
type changed struct {
	*Request
	body, field, url bool // what was changed
	name, say        string
}

func (c changed) sentence() string {
	switch {
	case c.body && len(c.Body) == 0:
		return "The signature fits an empty body: what was sent had none, and something between the source and edge has put one there."
	case c.body:
		return fmt.Sprintf("The signature fits the body %s: something between the source and edge writes it anew, and has to pass it on as it comes.", c.say)
	case c.url:
		return fmt.Sprintf("The signature fits the URL %s: set the source's url to it, or give the source the one that is asked.", c.say)
	}
	return fmt.Sprintf("It would fit if %s were written %s: what the source sends is not what verify expects.", c.name, c.say)
}

// requests are the changes of what came, each on its own.
func (v *Verifier) requests(r *Request) (all []changed) {
	for _, w := range rewrites() {
		if body := w.do(slices.Clone(r.Body)); body != nil && !bytes.Equal(body, r.Body) {
			c := *r
			c.Body = body
			all = append(all, changed{Request: &c, body: true, say: w.say})
		}
	}
	name, prefix := v.signatureField(r)
	if value := r.Header.Get(name); value != "" {
		for _, w := range resigned(value, prefix) {
			c := *r
			c.Header = r.Header.Clone()
			c.Header.Set(name, w.value)
			all = append(all, changed{Request: &c, field: true, name: name, say: w.say})
		}
	}
	if h := v.source.Verify.HMAC; v.source.Verify.Scheme == "twilio" || h != nil && strings.Contains(h.Signed, "{url}") {
		for _, w := range otherURLs(configured(v.source.URL, r.URL)) {
			c := *r
			c.URL = w.value
			all = append(all, changed{Request: &c, url: true, say: w.say})
		}
	}
	return all
}

// signatureField names the field with the signature or the secret, and what stands before it there.
func (v *Verifier) signatureField(r *Request) (name, prefix string) {
	switch v.source.Verify.Scheme {
	case "standard":
		if r.Header.Get("Webhook-Signature") == "" {
			return "Svix-Signature", "v1,"
		}
		return "Webhook-Signature", "v1,"
	case "stripe":
		return "Stripe-Signature", ""
	case "github", "meta":
		return "X-Hub-Signature-256", "sha256="
	case "slack":
		return "X-Slack-Signature", "v0="
	case "shopify":
		return "X-Shopify-Hmac-Sha256", ""
	case "linear":
		return "Linear-Signature", ""
	case "paddle":
		return "Paddle-Signature", ""
	case "x":
		return "X-Twitter-Webhooks-Signature", "sha256="
	case "twilio":
		return "X-Twilio-Signature", ""
	case "discord":
		return "X-Signature-Ed25519", ""
	case "bearer":
		if v.source.Verify.Header != "" {
			return v.source.Verify.Header, ""
		}
		return "Authorization", "Bearer "
	case "basic":
		return "Authorization", "Basic "
	}
	if h := v.source.Verify.HMAC; h != nil {
		return h.Header, h.Prefix
	}
	return "", ""
}
