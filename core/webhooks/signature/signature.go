// Package signature says whether a delivery is its source's, and answers what sources ask when they look whether an address is yours.
//
// In come requests that anybody may have sent: their fields, their exact bytes and their URL. Nothing of them is believed until a secret or a
// certificate says so. What is not clearly signed is refused: a field that comes twice, a name that comes twice in JSON that has to be looked into,
// a time that is too far away in either direction. Certificates and confirmations are fetched from the providers' own hosts only, and only there.
//
// Some providers sign less than one would think, and nobody can mend that here: github, shopify, meta and x sign no time and no id, twilio runs the names
// and values of a form together, linear signs no id, and paypal signs the CRC-32 of a body. Who has read a delivery of theirs on its way may send it again.
package signature

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/onehost/edge/core/config"
)

// Request is a delivery as it came.
type Request struct {
	Method string
	URL    string // absolute, as the source asked for it, with the query
	Header http.Header
	Body   []byte    // exactly as it came; it is not changed, and not kept
	At     time.Time // when it came; the zero time is now
}

// Event is what a delivery says that it is.
type Event struct {
	ID   string // tells deliveries of the source apart: the provider's own id, else the body's hash; 256 bytes at most; never ""
	Type string // the provider's word for it, such as invoice.paid; "" if it has none; 256 bytes at most
}

// Answer is what a source is told.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Note   string // what the operator's log should say of it; "" if that is nothing
}

// A scheme is a provider's way of signing.
type scheme interface {
	// verify returns nil, a *Refusal, or a fault.Unavailable if it could not find out.
	verify(ctx context.Context, r *Request) error
}

// Verifier verifies the deliveries of one source. It may be used by many at once.
type Verifier struct {
	source config.Webhook
	scheme scheme
	naming *naming
	certs  *certificates
}

// New returns the verifier of a source; an error says what its secret can't be, without showing it. client fetches certificates and confirms subscriptions
// of sns; nil is a client of its own that speaks https to public addresses alone. Whatever it is, it follows no redirects and is asked for
// addresses of the provider's own hosts only. Without a tolerance it is 5 minutes. If its transport has RootCAs, paypal's certificates have to come from these, too.
func New(source config.Webhook, client *http.Client) (*Verifier, error) {
	if source.Tolerance <= 0 {
		source.Tolerance = 5 * time.Minute
	}
	v := &Verifier{source: source, naming: namingOf(source.Verify), certs: newCertificates(client)}
	var err error
	if v.scheme, err = v.build(source.Keys()); err != nil {
		return nil, err
	}
	return v, nil
}

// build returns the source's scheme with other secrets than its own.
func (v *Verifier) build(secrets []string) (scheme, error) {
	s := v.source
	if s.Verify.HMAC != nil {
		return newHMAC(s, secrets)
	}
	switch s.Verify.Scheme {
	case "standard":
		return newStandard(secrets, s.Tolerance)
	case "stripe", "github", "slack", "shopify", "linear", "paddle", "x", "meta":
		return newKeyed(s.Verify.Scheme, secrets, s.Tolerance)
	case "discord":
		return newDiscord(secrets, s.Tolerance)
	case "sendgrid":
		return newSendGrid(secrets, s.Tolerance)
	case "twilio":
		return newTwilio(secrets, s.URL)
	case "paypal":
		return newPayPal(secrets, s.Tolerance, v.certs)
	case "sns":
		return &sns{topics: s.Topics, tolerance: s.Tolerance, certs: v.certs}, nil
	case "graph":
		return newGraph(secrets)
	case "bearer":
		return newBearer(secrets, s.Verify.Header)
	case "basic":
		return newBasic(secrets)
	case "none":
		return anybody{}, nil
	}
	return nil, fmt.Errorf("verify: %q is no way of verifying", s.Verify.Scheme)
}

// Verify says what a delivery is that is the source's. An error is a *Refusal, or a fault.Unavailable: a certificate could not be fetched.
func (v *Verifier) Verify(ctx context.Context, r *Request) (Event, error) {
	if err := v.scheme.verify(ctx, r); err != nil {
		return Event{}, err
	}
	return v.naming.event(r), nil
}

// now is when the request came.
func (r *Request) now() time.Time {
	if r.At.IsZero() {
		return time.Now()
	}
	return r.At
}

// Deferred is what a source that waits for the handler's answer is told when that comes later.
func (v *Verifier) Deferred() *Answer {
	switch v.source.Verify.Scheme {
	case "slack": // says that the command arrived; what there is to say goes to its response_url
		return &Answer{Status: http.StatusOK}
	case "discord": // DEFERRED_CHANNEL_MESSAGE_WITH_SOURCE: "… is thinking"
		return answer("application/json", `{"type":5}`)
	case "twilio": // no instructions
		return answer("text/xml; charset=utf-8", `<?xml version="1.0" encoding="UTF-8"?><Response></Response>`)
	}
	return &Answer{Status: http.StatusAccepted}
}

// answer is a 200 that no browser takes for a page.
func answer(contentType, body string) *Answer {
	header := http.Header{"Content-Type": {contentType}, "X-Content-Type-Options": {"nosniff"}, "Cache-Control": {"no-store"}}
	return &Answer{Status: http.StatusOK, Header: header, Body: []byte(body)}
}
