package signature

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

const maxChallenge = 1024 // bytes that are sent back

// Handshake answers a request by which a source looks whether an address is yours; nil and nil if r is none. Signed ones are verified first. An error is
// what Verify's is. It comes before Verify: what it answers is no delivery.
func (v *Verifier) Handshake(ctx context.Context, r *Request) (*Answer, error) {
	switch v.source.Verify.Scheme {
	case "slack":
		return v.slackChallenge(ctx, r)
	case "discord":
		return v.discordPing(ctx, r)
	case "sns":
		return v.snsConfirmation(ctx, r)
	case "x":
		if a, err := v.crc(r); a != nil || err != nil {
			return a, err
		}
	case "graph":
		if a, err := validation(r); a != nil || err != nil {
			return a, err
		}
	}
	if v.source.Token != "" || v.source.Verify.Scheme == "meta" {
		return v.hub(r)
	}
	return nil, nil
}

// slackChallenge answers url_verification.
// https://docs.slack.dev/reference/events/url_verification
func (v *Verifier) slackChallenge(ctx context.Context, r *Request) (*Answer, error) {
	if maybeForm(r.Body) {
		return nil, nil
	}
	if kind, _ := Key("type", nil, r.Body); kind != "url_verification" {
		return nil, nil
	}
	if err := v.scheme.verify(ctx, r); err != nil {
		return nil, err
	}
	challenge := ""
	_ = look(r.Body, [][]string{{"challenge"}}, func(_ int, raw []byte) error { // it was read once already
		challenge, _ = text(raw)
		return nil
	})
	if !plain(challenge) {
		return nil, refuse(Malformed, "the challenge is not one")
	}
	return answer("text/plain; charset=utf-8", challenge), nil
}

// discordPing answers both kinds of pings: that of interactions is of type 1, that of webhook events of type 0. A webhook event is of type 1 itself, and has an event.
// https://discord.com/developers/docs/events/webhook-events#webhook-types
func (v *Verifier) discordPing(ctx context.Context, r *Request) (*Answer, error) {
	kind, event := "", false
	err := look(r.Body, [][]string{{"type"}, {"event"}}, func(path int, raw []byte) error {
		if path == 0 {
			kind = string(raw)
		} else {
			event = event || string(raw) != "null"
		}
		return nil
	})
	if err != nil || kind != "0" && (kind != "1" || event) {
		return nil, nil //nolint:nilerr // what can't be read is no ping
	}
	if err := v.scheme.verify(ctx, r); err != nil {
		return nil, err
	}
	if kind == "0" {
		return &Answer{Status: http.StatusNoContent}, nil
	}
	return answer("application/json", `{"type":1}`), nil
}

// snsConfirmation subscribes to a topic that topics names, and answers one that is no longer subscribed.
// https://docs.aws.amazon.com/sns/latest/dg/SendMessageToHttp.prepare.html
func (v *Verifier) snsConfirmation(ctx context.Context, r *Request) (*Answer, error) {
	kind, _ := Key("Type", nil, r.Body)
	if r.Method != http.MethodPost || kind != "SubscriptionConfirmation" && kind != "UnsubscribeConfirmation" {
		return nil, nil
	}
	m, err := readMessage(r.Body)
	if err != nil {
		return nil, err
	}
	if err := v.scheme.(*sns).proven(ctx, m, r.now()); err != nil {
		return nil, err
	}
	if kind == "UnsubscribeConfirmation" {
		return &Answer{Status: http.StatusOK, Note: "the subscription to " + m.TopicArn + " has ended"}, nil
	}
	if !subscribes(m.SubscribeURL, m.TopicArn) {
		return nil, refuse(Malformed, "SubscribeURL does not confirm the topic's subscription on a host sns.REGION.amazonaws.com")
	}
	if _, err := fetch(ctx, v.certs.client, m.SubscribeURL); err != nil {
		return nil, err
	}
	return &Answer{Status: http.StatusOK, Note: "subscribed to " + m.TopicArn}, nil
}

// crc answers X's challenge-response check with the first secret. The answer is what X would sign a body with that is the token, so a token that
// could be the body of a delivery, which is a JSON object, gets none.
// https://docs.x.com/x-api/webhooks/introduction#challenge-response-check
func (v *Verifier) crc(r *Request) (*Answer, error) {
	token, ok, err := asked(r, "crc_token")
	if !ok || err != nil {
		return nil, err
	}
	if strings.ContainsFunc(token, func(c rune) bool {
		return (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && !strings.ContainsRune("-_=+/.~", c)
	}) {
		return nil, refuse(Malformed, "crc_token is not one that X sends")
	}
	mac := hmac.New(sha256.New, []byte(v.source.Keys()[0]))
	mac.Write([]byte(token))
	return answer("application/json", `{"response_token":"sha256=`+base64.StdEncoding.EncodeToString(mac.Sum(nil))+`"}`), nil
}

// validation echoes Microsoft Graph's token.
// https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks#notificationurl-validation
func validation(r *Request) (*Answer, error) {
	query, ok := queryOf(r)
	if !ok || len(query["validationToken"]) == 0 {
		return nil, nil
	}
	token := query.Get("validationToken")
	if len(query["validationToken"]) > 1 || !plain(token) {
		return nil, refuse(Malformed, "validationToken is not one that Graph sends")
	}
	return answer("text/plain; charset=utf-8", token), nil
}

// hub answers Meta and WebSub, which say the token, and Dropbox and its like, which say none: that the source has a token means that it may be looked for.
// https://www.w3.org/TR/websub/#hub-verifies-intent
func (v *Verifier) hub(r *Request) (*Answer, error) {
	challenge, ok, err := asked(r, "hub.challenge")
	if err != nil {
		return nil, err
	}
	if ok {
		query, _ := queryOf(r)
		if mode := query.Get("hub.mode"); mode != "subscribe" && mode != "unsubscribe" {
			return nil, refuse(Malformed, "hub.mode is neither subscribe nor unsubscribe")
		}
		if v.source.Token == "" {
			return nil, refuse(WrongToken, "the source has no token to compare hub.verify_token with: set token")
		}
		if !(shared{sha256.Sum256([]byte(v.source.Token))}).has(query.Get("hub.verify_token")) {
			return nil, refuse(WrongToken, "hub.verify_token is not the source's token")
		}
		return answer("text/plain; charset=utf-8", challenge), nil
	}
	if v.source.Verify.Scheme == "meta" {
		return nil, nil
	}
	if challenge, ok, err = asked(r, "challenge"); !ok || err != nil {
		return nil, err
	}
	return answer("text/plain; charset=utf-8", challenge), nil
}

// asked returns what a GET has in its query; false if it has no such name, or r is no GET.
func asked(r *Request, name string) (string, bool, error) {
	if r.Method != http.MethodGet {
		return "", false, nil
	}
	query, ok := queryOf(r)
	if !ok || len(query[name]) == 0 {
		return "", false, nil
	}
	value := query.Get(name)
	if len(query[name]) > 1 || !plain(value) {
		return "", false, refuse(Malformed, "%s is not one that a source sends", name)
	}
	return value, true, nil
}

func queryOf(r *Request) (url.Values, bool) {
	_, query, ok := strings.Cut(r.URL, "?")
	if !ok || len(query) > 8*maxChallenge {
		return nil, false
	}
	values, err := url.ParseQuery(query)
	return values, err == nil
}

// plain reports whether something may be sent back: it is short, and can't be markup of anything.
func plain(s string) bool {
	return s != "" && len(s) <= maxChallenge && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c >= 0x7f || c == '<' || c == '>' })
}
