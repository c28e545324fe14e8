package webhooks

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/webhooks/dispatch"
	"github.com/onehost/edge/core/webhooks/inbox"
	"github.com/onehost/edge/core/webhooks/signature"
)

// A refusal is why something is not taken, for who sent it.
type refusal struct {
	status int
	code   string // for programs, and the access log
	detail string // for people
	allow  string
	after  time.Duration
}

// refusal is what the source is told of an error: never what of a signature was wrong.
func (v *visit) refusal(err error) *refusal {
	full := (*inbox.Full)(nil)
	switch {
	case errors.Is(err, errMethod):
		return &refusal{status: http.StatusMethodNotAllowed, code: "method", detail: "Deliveries are sent by POST.", allow: http.MethodPost}
	case errors.Is(err, errTooLarge), errors.Is(err, fault.TooLarge):
		return &refusal{status: http.StatusRequestEntityTooLarge, code: string(fault.TooLarge), detail: "The delivery is larger than this address takes."}
	case errors.Is(err, errCut):
		return &refusal{status: http.StatusBadRequest, code: "cut", detail: "The delivery did not arrive whole."}
	case errors.As(err, new(*signature.Refusal)):
		return &refusal{status: http.StatusUnauthorized, code: "signature", detail: "The delivery is not signed as it has to be."}
	case errors.As(err, &full):
		return &refusal{status: http.StatusServiceUnavailable, code: "full", detail: "No more deliveries can be taken at the moment.", after: retryAfter}
	case errors.Is(err, fault.Unavailable):
		return &refusal{status: http.StatusServiceUnavailable, code: string(fault.Unavailable), detail: "The delivery can't be taken at the moment.", after: retryAfter}
	case errors.Is(err, fault.Invalid):
		return &refusal{status: http.StatusBadRequest, code: string(fault.Invalid), detail: "The delivery can't be kept."}
	}
	return &refusal{status: http.StatusInternalServerError, code: "internal", detail: "Something went wrong on our side."}
}

// A problem is a problem document (RFC 9457).
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	Code      string `json:"code,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

func refuse(w http.ResponseWriter, r *http.Request, why *refusal) {
	if noting, ok := w.(interface{ ErrorReason(word string) }); ok {
		noting.ErrorReason(why.code)
	}
	if why.allow != "" {
		w.Header()["Allow"] = []string{why.allow}
	}
	if why.after > 0 {
		w.Header()["Retry-After"] = []string{strconv.Itoa(int(why.after / time.Second))}
	}
	body, _ := json.Marshal(problem{ // texts and numbers always can be
		Type: "about:blank", Title: http.StatusText(why.status), Status: why.status, Detail: why.detail, Code: why.code, RequestID: r.Header.Get("X-Request-Id"),
	})
	w.Header()["Content-Type"] = []string{"application/problem+json"}
	send(w, why.status, append(body, '\n'))
}

// send answers with a body that no cache keeps and no browser guesses about.
func send(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Cache-Control"] = []string{"no-store"}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	if status == http.StatusNoContent {
		h.Del("Content-Length")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a source that is gone is nobody's error
}

// tell answers what signature says.
func (v *visit) tell(a *signature.Answer) {
	for name, values := range a.Header {
		v.w.Header()[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	send(v.w, a.Status, a.Body)
}

// acknowledge says that a delivery is kept. Discord wants 204 of events (https://discord.com/developers/docs/events/webhook-events#event-payload-structure),
// and of interactions that something comes; others want nothing in the body, which Slack would show to people.
func (v *visit) acknowledge() {
	if v.source.Verify.Scheme == "discord" {
		if _, event := signature.Key("event.type", v.r.Header, v.request.Body); event {
			v.tell(&signature.Answer{Status: http.StatusNoContent})
			return
		}
	}
	if answer := v.source.verifier.Deferred(); answer.Status == http.StatusOK {
		v.tell(answer)
		return
	}
	v.tell(&signature.Answer{Status: http.StatusOK})
}

// ofConnection are fields that are about how an answer is sent, which is not the plugin's business.
var ofConnection = []string{"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// pass answers what the plugin says.
func (v *visit) pass(a *dispatch.Answer) {
	status := a.Status
	if status == 0 {
		status = http.StatusOK
	}
	if status < 200 || status > 599 {
		v.log.Error("a plugin answered with a status that can't be sent", "source", v.source.name, "status", a.Status, "request_id", v.requestID())
		v.acknowledge()
		return
	}
	for _, f := range a.Header {
		name := http.CanonicalHeaderKey(f.Name)
		if name == "" || slices.Contains(ofConnection, name) || strings.ContainsAny(f.Name+f.Value, "\r\n\x00") {
			continue
		}
		v.w.Header().Add(name, f.Value)
	}
	send(v.w, status, a.Body)
}
