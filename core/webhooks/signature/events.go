package signature

import (
	"bytes"
	"strings"

	"github.com/onehost/edge/core/config"
)

// namingOf returns where a provider says which event a delivery is. Where there is no id that stays the same when a delivery is sent again,
// it is the hash of the body, which does. What has no provider and nothing configured is another event each time: the same bytes may well be
// said twice, and losing one would be worse than handling a repeat.
func namingOf(v config.Verify) *naming {
	if v.HMAC != nil {
		return newNaming(given(v.HMAC.ID), given(v.HMAC.Type))
	}
	if v.Anonymous() {
		n := newNaming(given(v.ID), given(v.Type))
		n.each = v.ID == ""
		return n
	}
	switch v.Scheme {
	case "standard":
		n := newNaming(nil, []string{"type", "event_type", "eventType"})
		n.id = func(r *Request) string { // the one that is signed: beside it anybody could write another
			name, _, _ := standardFields(r.Header)
			return r.Header.Get(name)
		}
		return n
	case "stripe":
		return newNaming([]string{"id"}, []string{"type"})
	case "github":
		return newNaming([]string{"header:X-GitHub-Delivery"}, []string{"header:X-GitHub-Event"})
	case "slack": // events; commands; interactions have a form with JSON in it
		n := newNaming([]string{"event_id", "form:trigger_id"}, []string{"event.type", "type", "form:command"})
		n.special = slackPayload
		return n
	case "shopify": // webhooks; events have names without X-
		return newNaming([]string{"header:X-Shopify-Webhook-Id", "header:Shopify-Webhook-Id"}, []string{"header:X-Shopify-Topic", "header:Shopify-Topic", "header:Shopify-Action"})
	case "twilio":
		n := newNaming([]string{"header:I-Twilio-Idempotency-Token"}, []string{"form:MessageStatus", "form:SmsStatus", "form:CallStatus"})
		n.special = twilioMessage
		return n
	case "paypal":
		return newNaming([]string{"id"}, []string{"event_type"})
	case "linear":
		return newNaming([]string{"header:Linear-Delivery"}, []string{"header:Linear-Event", "type"})
	case "paddle":
		return newNaming([]string{"event_id"}, []string{"event_type"})
	case "sendgrid":
		n := newNaming(nil, nil)
		n.special = sendGridBatch
		return n
	case "discord": // interactions have an id; webhook events have a type of their own, as a word
		return newNaming([]string{"id"}, []string{"event.type", "type"})
	case "meta":
		return newNaming(nil, []string{"object"})
	case "sns":
		return newNaming([]string{"MessageId"}, []string{"Type"})
	case "graph":
		return newNaming(nil, []string{"value.0.lifecycleEvent", "value.0.changeType"})
	}
	return newNaming(nil, nil)
}

func given(spec string) []string {
	if spec == "" {
		return nil
	}
	return []string{spec}
}

// slackPayload names an interaction.
// https://api.slack.com/reference/interaction-payloads
func slackPayload(r *Request) (Event, bool) {
	if !maybeForm(r.Body) {
		return Event{}, false
	}
	payload := readForm(r.Body).Get("payload")
	if payload == "" {
		return Event{}, false
	}
	id, _ := Key("trigger_id", nil, []byte(payload))
	kind, _ := Key("type", nil, []byte(payload))
	return Event{ID: id, Type: kind}, true
}

// twilioMessage names what came without an idempotency token: a message has each status once. A call has the same status in several
// requests, so that its id and status would make repeats of what are none.
func twilioMessage(r *Request) (Event, bool) {
	if r.Header.Get("I-Twilio-Idempotency-Token") != "" || !isForm(r) {
		return Event{}, false
	}
	form := readForm(r.Body)
	status := form.Get("MessageStatus")
	if status == "" {
		status = form.Get("SmsStatus")
	}
	if form.Get("MessageSid") == "" || status == "" {
		return Event{}, false
	}
	return Event{ID: form.Get("MessageSid") + ":" + status, Type: status}, true
}

// sendGridBatch names a batch by the ids of its events, of which SendGrid puts up to thousands into one delivery. Its type is theirs if they have all the same.
// https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
func sendGridBatch(r *Request) (Event, bool) {
	var ids bytes.Buffer
	kinds, named, items, last := 0, 0, 0, ""
	err := look(r.Body, [][]string{{each}, {each, "sg_event_id"}, {each, "event"}}, func(path int, raw []byte) error {
		switch path {
		case 0:
			items++
		case 1:
			if id, ok := scalar(raw); ok {
				named++
				ids.WriteString(strings.ReplaceAll(id, "\n", "\\n"))
				ids.WriteByte('\n')
			}
		case 2:
			if kind, _ := scalar(raw); kind != last || kinds == 0 {
				kinds, last = kinds+1, kind
			}
		}
		return nil
	})
	if err != nil {
		return Event{}, false
	}
	e := Event{}
	if kinds == 1 {
		e.Type = last
	} else if kinds > 1 {
		e.Type = "batch"
	}
	if items > 0 && named == items {
		e.ID = hashed(ids.Bytes())
	}
	return e, true
}
