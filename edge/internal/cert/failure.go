package cert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// maxAnswer bounds what is read of a CA's answer, in bytes.
const maxAnswer = 1 << 20

// transport sends requests to a CA. It bounds the answers, marks errors of the way as such, and keeps what acmez drops:
// how long the CA asks to be left alone.
type transport struct{ next http.RoundTripper }

// requestError is an error of the way to a CA and back.
type requestError struct{ error }

func (e *requestError) Unwrap() error { return e.error }

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, &requestError{err}
	}
	if pause, ok := req.Context().Value(pauses{}).(*pause); ok && resp.StatusCode >= 400 {
		pause.note(resp.Header.Get("Retry-After"))
	}
	resp.Body = bounded{resp.Body, io.LimitReader(resp.Body, maxAnswer)}
	return resp, nil
}

// bounded is the beginning of a body.
type bounded struct {
	io.Closer
	limited io.Reader
}

func (b bounded) Read(p []byte) (int, error) {
	n, err := b.limited.Read(p)
	if err != nil && err != io.EOF {
		err = &requestError{err}
	}
	return n, err
}

// pause is how long CAs asked to be left alone in one attempt (Retry-After, RFC 9110, section 10.2.3).
type pause struct{ until time.Time }

type pauses struct{}

func (p *pause) note(retryAfter string) {
	if seconds, err := strconv.Atoi(retryAfter); err == nil && seconds > 0 {
		p.until = time.Now().Add(min(time.Duration(seconds), longestPause/time.Second) * time.Second)
	} else if date, err := http.ParseTime(retryAfter); err == nil {
		p.until = earliest(date, time.Now().Add(longestPause))
	}
}

// longestPause bounds what a CA may ask for: the longest window of Let's Encrypt's limits.
const longestPause = 7 * 24 * time.Hour

// isProblem reports whether the CA itself answered with a problem of one of the types (RFC 8555, section 6.7).
func isProblem(err error, types ...string) bool {
	var problem acme.Problem
	return errors.As(err, &problem) && slices.Contains(types, problem.Type)
}

// notValidated reports whether the CA looked for the answer to a challenge and was not content with what it found.
func notValidated(err error) bool {
	var problem acme.Problem
	if !errors.As(err, &problem) {
		return false
	}
	_, ofAuthorization := problem.Resource.(acme.Authorization)
	return ofAuthorization
}

// orders are the failed orders of one attempt at one CA: one for each type of challenge that was tried.
type orders []failedOrder

type failedOrder struct {
	challenge string
	err       error
}

func (o orders) Error() string {
	said := make([]string, len(o))
	for i, failed := range o {
		said[i] = inWordsOfCA(failed.err)
		if notValidated(failed.err) {
			said[i] = failed.challenge + ": " + said[i]
		}
	}
	return strings.Join(said, "; ")
}

func (o orders) Unwrap() []error {
	all := make([]error, len(o))
	for i, failed := range o {
		all[i] = failed.err
	}
	return all
}

// reason says why there is no certificate, without what certmagic puts around it.
func reason(err error) string {
	if o, ok := errors.AsType[orders](err); ok {
		return o.Error()
	}
	return inWordsOfCA(err)
}

// inWordsOfCA says what the CA said, where it said something.
func inWordsOfCA(err error) string {
	var problem acme.Problem
	if !errors.As(err, &problem) {
		if unreachable, ok := errors.AsType[*errUnreachable](err); ok {
			err = unreachable
		}
		return oneLine(err.Error())
	}
	said := fmt.Sprintf("%s (%s)", problem.Detail, strings.TrimPrefix(problem.Type, acme.ProblemTypeNamespace))
	for _, sub := range problem.Subproblems {
		said += fmt.Sprintf("; %s: %s", sub.Identifier.Value, sub.Detail)
	}
	return oneLine(said)
}

// oneLine makes foreign text fit for a log and a terminal: no control characters, and not more than a CA needs to be clear.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	const most = 1000
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// quietly passes on what acmez logs as debugging: what matters of it is said by us, once.
type quietly struct{ slog.Handler }

func (q quietly) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.Handler.Enabled(ctx, slog.LevelDebug)
}

func (q quietly) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return q.Handler.Handle(ctx, r)
}

func (q quietly) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quietly{q.Handler.WithAttrs(attrs)}
}
func (q quietly) WithGroup(name string) slog.Handler { return quietly{q.Handler.WithGroup(name)} }
