package host

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/onehost/edge/core/webhooks/dispatch"
	"github.com/onehost/edge/core/webhooks/inbox"
	"github.com/onehost/edge/plugins/internal/proto"
	"golang.org/x/net/http/httpguts"
)

// Bounds of what a plugin may say.
const (
	reasonMost = 1 << 10             // bytes
	afterMost  = 30 * 24 * time.Hour // no delivery waits for longer
	bodyMost   = 1 << 20             // bytes of an answer
	fieldsMax  = 64                  // of an answer's head
	headerMost = 16 << 10            // bytes of it
)

// outcome is what a plugin says of an attempt, in bounds.
func (p *process) outcome(o *proto.Outcome) dispatch.Outcome {
	out := dispatch.Outcome{Reason: sentence(p.out.hidden.Replace(o.GetReason()))}
	switch o.GetKind() {
	case proto.Outcome_OK:
		out.Kind = dispatch.OK
	case proto.Outcome_SKIP:
		out.Kind = dispatch.Skip
	case proto.Outcome_FAIL:
		out.Kind = dispatch.Fail
	case proto.Outcome_RETRY:
		out.Kind = dispatch.Retry
		out.After = min(max(o.GetAfter().AsDuration(), 0), afterMost)
	default:
		out.Kind = dispatch.Retry
		out.Reason = sentence(fmt.Sprintf("it answered with the outcome %d, which edge does not know; %s", o.GetKind(), out.Reason))
	}
	if o.GetAnswer() == nil {
		return out
	}
	answer, err := answerOf(o.GetAnswer())
	if err != nil { // what was done is done
		p.log.Warn("a plugin's answer can't be sent to the source", "err", err)
		out.Reason = sentence(strings.TrimPrefix(out.Reason+"; ", "; ") + "its answer was not sent: " + err.Error())
		return out
	}
	out.Answer = answer
	return out
}

// answerOf checks an answer: a final status, and fields that can't be taken for another answer's, or for what the server says itself.
func answerOf(a *proto.Answer) (*dispatch.Answer, error) {
	status := int(a.GetStatus())
	if status == 0 {
		status = 200
	}
	if status < 200 || status > 599 {
		return nil, fmt.Errorf("%d is no status of an answer", status)
	}
	if len(a.GetBody()) > bodyMost {
		return nil, fmt.Errorf("it has a body of %d bytes, and may have %d", len(a.GetBody()), bodyMost)
	}
	out := &dispatch.Answer{Status: status, Body: a.GetBody()}
	if len(a.GetHeader()) > fieldsMax {
		return nil, fmt.Errorf("it has %d fields, and may have %d", len(a.GetHeader()), fieldsMax)
	}
	size := 0
	for _, f := range a.GetHeader() {
		name, value := f.GetName(), f.GetValue()
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, fmt.Errorf("its field %q is not one of HTTP's", cut(name, 64))
		}
		if servers(name) {
			return nil, fmt.Errorf("its field %s is the server's to send", name)
		}
		if size += len(name) + len(value); size > headerMost {
			return nil, fmt.Errorf("its fields have more than %d bytes", headerMost)
		}
		out.Header = append(out.Header, inbox.Field{Name: name, Value: value})
	}
	return out, nil
}

// servers reports whether a field is about the connection or the message's length (RFC 9110 7.6.1, RFC 9112 6), which is the server's business.
func servers(name string) bool {
	switch strings.ToLower(name) {
	case "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "content-length":
		return true
	}
	return false
}

// sentence is a text of somebody else's as one line of bounded length.
func sentence(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
	return cut(strings.TrimSpace(s), reasonMost)
}
