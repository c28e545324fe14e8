package signature

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
)

func TestATimeInTheFarFutureIsTooNew(t *testing.T) {
	stripe, own := scheme1("stripe", "whsec_x"), generic1(config.HMAC{Header: "X-Sig", Signed: "{timestamp}.{body}", Timestamp: "X-Time"})
	for _, stamp := range []int64{1800000000 + 301, 9999999999, 99999999999, 999999999999} { // from 11 digits on it is further away than a Duration goes
		sum := hex.EncodeToString(sumOf(newMACKey(sha256.New, []byte("whsec_x")), fmt.Sprintf("%d.{}", stamp)))
		if got := reason(t, verifier(t, stripe, nil), post("{}", "Stripe-Signature", fmt.Sprintf("t=%d,v1=%s", stamp, sum))); got != TooNew {
			t.Errorf("stripe, signed at %d: %q", stamp, got)
		}
	}
	for _, stamp := range []string{"99999999999", "999999999999999", "9999-12-31T23:59:59Z"} {
		sum := hex.EncodeToString(sumOf(newMACKey(sha256.New, []byte("secret")), stamp+".{}"))
		if got := reason(t, verifier(t, own, nil), post("{}", "X-Time", stamp, "X-Sig", sum)); got != TooNew {
			t.Errorf("hmac, signed at %s: %q", stamp, got)
		}
	}
	if near(time.Time{}, time.Unix(1800000000, 0), time.Hour, time.Hour) == nil {
		t.Error("the year 1 is near")
	}
}

// Who has read a delivery on its way may send it again, with other fields around what is signed. It stays the same event.
func TestFieldsThatNobodySignsMakeNoOtherEventOfADelivery(t *testing.T) {
	standard := base64.StdEncoding.EncodeToString(sumOf(newMACKey(sha256.New, []byte("secret")), "msg.1800000000.{}"))
	slack := func(body string) string {
		return "v0=" + hex.EncodeToString(sumOf(newMACKey(sha256.New, []byte("s")), "v0:1800000000:"+body))
	}
	command, interaction, event := "command=%2Fx&trigger_id=1.2", `payload=%7B%22trigger_id%22%3A%221.2%22%7D`, `{"event_id":"1.2","text":"&payload=5&"}`
	for name, c := range map[string]struct {
		source config.Webhook
		body   string
		fields []string
		others [][]string
		want   string
	}{
		"svix": {scheme1("standard", "whsec_c2VjcmV0"), "{}", []string{"Svix-Id", "msg", "Svix-Timestamp", "1800000000", "Svix-Signature", "v1," + standard}, [][]string{{"Webhook-Id", "other"}}, "msg"},
		"standard": {scheme1("standard", "whsec_c2VjcmV0"), "{}", []string{"Webhook-Id", "msg", "Webhook-Timestamp", "1800000000", "Webhook-Signature", "v1," + standard},
			[][]string{{"Svix-Id", "other"}, {"Svix-Id", "other", "Svix-Signature", "v1,x"}}, "msg"},
		"slack command":     {scheme1("slack", "s"), command, []string{"X-Slack-Request-Timestamp", "1800000000", "X-Slack-Signature", slack(command)}, contentTypes, "1.2"},
		"slack interaction": {scheme1("slack", "s"), interaction, []string{"X-Slack-Request-Timestamp", "1800000000", "X-Slack-Signature", slack(interaction)}, contentTypes, "1.2"},
		"slack event":       {scheme1("slack", "s"), event, []string{"X-Slack-Request-Timestamp", "1800000000", "X-Slack-Signature", slack(event)}, contentTypes, "1.2"},
	} {
		v := verifier(t, c.source, nil)
		for _, other := range append(c.others, nil) {
			e, err := v.Verify(t.Context(), post(c.body, append(c.fields[:len(c.fields):len(c.fields)], other...)...))
			if err != nil || e.ID != c.want {
				t.Errorf("%s with %q: %+v %v", name, other, e, err)
			}
		}
	}
}

var contentTypes = [][]string{{"Content-Type", "application/x-www-form-urlencoded"}, {"Content-Type", "application/json"}, {"Content-Type", "text/plain"}}
