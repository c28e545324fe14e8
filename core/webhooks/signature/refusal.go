package signature

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/onehost/edge/core/fault"
)

// Reason is why a delivery was refused, in a word.
type Reason string

// The reasons.
const (
	Missing          Reason = "missing"           // a field that the source always sends is not there
	Malformed        Reason = "malformed"         // what is there can't be the source's
	WrongSignature   Reason = "wrong_signature"   // it fits none of the secrets
	TooOld           Reason = "too_old"           // it was signed longer ago than tolerance
	TooNew           Reason = "too_new"           // it was signed for a time further ahead than tolerance
	WrongSecret      Reason = "wrong_secret"      // a secret that is sent as it is was another
	WrongToken       Reason = "wrong_token"       // who looks whether the address is yours has another token
	WrongTopic       Reason = "wrong_topic"       // topics has no such topic of sns
	WrongCertificate Reason = "wrong_certificate" // the certificate that is named is not the provider's, or has expired
)

// Refusal is why a delivery is not the source's. As a fault it is Unauthorized, or Forbidden for a token or a topic.
type Refusal struct {
	Reason Reason
	Detail string // for the operator; it never has a secret in it, or a signature that would have been good
}

// Error says both.
func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.Detail }

// Unwrap makes a Refusal a fault.
func (r *Refusal) Unwrap() error {
	if r.Reason == WrongToken || r.Reason == WrongTopic {
		return fault.Forbidden
	}
	return fault.Unauthorized
}

func refuse(reason Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

const maxField = 4 << 10 // bytes of a field that is looked into

// field returns the value of a field that has to be there once.
func field(h http.Header, name string) (string, error) {
	values := h.Values(name)
	switch {
	case len(values) == 0 || len(values) == 1 && values[0] == "":
		return "", refuse(Missing, "there is no %s", name)
	case len(values) > 1:
		return "", refuse(Malformed, "%s comes %d times", name, len(values))
	case len(values[0]) > maxField:
		return "", refuse(Malformed, "%s has %d bytes", name, len(values[0]))
	}
	return values[0], nil
}

// unix reads seconds since 1970.
func unix(s, name string) (time.Time, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || len(s) > 12 {
		return time.Time{}, refuse(Malformed, "the time in %s is no number of seconds since 1970", name)
	}
	return time.Unix(int64(n), 0), nil
}

// near refuses what was signed at another time than now: longer ago than past, or further ahead than future.
func near(signed, now time.Time, past, future time.Duration) error {
	switch { // by times: a difference of more than 292 years is no Duration
	case signed.Before(now.Add(-past)):
		return refuse(TooOld, "it was signed %s before it came, and %s is allowed", round(now.Sub(signed)), past)
	case signed.After(now.Add(future)):
		return refuse(TooNew, "it was signed for a time %s after it came, and %s is allowed", round(signed.Sub(now)), future)
	}
	return nil
}

func round(d time.Duration) time.Duration {
	if d >= 10*time.Second {
		return d.Round(time.Second)
	}
	return d.Round(time.Millisecond)
}
