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
	"unicode"

	"github.com/mholt/acmez/v3/acme"
)

// maxAnswer bounds what is read of a CA's answer, in bytes.
const maxAnswer = 1 << 20

// transport sends requests to a CA, over https alone (RFC 8555, section 6.1), wherever its directory or a redirect may
// lead. It bounds the answers, marks errors of the way as such, and keeps what acmez drops: whether the CA was asked to do
// anything, and how long it asks to be left alone.
type transport struct{ next http.RoundTripper }

// requestError is an error of the way to a CA and back.
type requestError struct{ error }

func (e *requestError) Unwrap() error { return e.error }

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" {
		return nil, &requestError{fmt.Errorf("%s://%s: a CA is spoken to over https", req.URL.Scheme, req.URL.Host)}
	}
	of, ok := req.Context().Value(attempts{}).(*attempt)
	if !ok {
		of = new(attempt)
	}
	of.posted = of.posted || req.Method == http.MethodPost
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, &requestError{err}
	}
	switch {
	case resp.StatusCode >= 400:
		of.pause(resp)
	case req.Method == http.MethodPost:
		pace(resp.Header)
	}
	if resp.StatusCode >= 500 && !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
		resp.Body.Close()
		return nil, &requestError{fmt.Errorf("%s answers %s", req.URL.Host, resp.Status)} // from what stands before the CA
	}
	resp.Body = bounded{resp.Body, io.LimitReader(resp.Body, maxAnswer)}
	return resp, nil
}

// How often a CA is asked how an order stands. Acmez does as it is told, be it to ask without a pause or in a century.
const (
	shortestPoll = time.Second
	longestPoll  = 15 * time.Second
)

// pace keeps the time until the next question in bounds.
func pace(header http.Header) {
	until, ok := retryAfter(header)
	if !ok {
		header.Del("Retry-After")
		return
	}
	wait := min(max(time.Until(until), shortestPoll), longestPoll)
	header.Set("Retry-After", strconv.Itoa(int(wait.Seconds())))
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

// attempt is what is learnt on the way of one attempt at one CA.
type attempt struct {
	posted bool      // the CA was asked to do something: it costs it work, and maybe us our budget
	until  time.Time // when the CA may be asked again, as it said (Retry-After, RFC 9110, section 10.2.3); zero: it did not
}

// attempts is the key of a context's value: the *attempt that it is for.
type attempts struct{}

// The longest that a CA may ask to be left alone: when it limits us, as long as the longest window of Let's Encrypt's
// limits; in other trouble, as long as a renewal can wait.
const (
	longestLimit = 7 * 24 * time.Hour
	longestPause = time.Hour
)

func (a *attempt) pause(resp *http.Response) {
	longest := longestPause
	if resp.StatusCode == http.StatusTooManyRequests {
		longest = longestLimit
	}
	if until, ok := retryAfter(resp.Header); ok {
		a.until = earliest(until, time.Now().Add(longest))
	}
}

// retryAfter is the time that a header names, if it does.
func retryAfter(header http.Header) (time.Time, bool) {
	said := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(said, 10, 31); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Now().Add(time.Duration(seconds) * time.Second), true
	}
	date, err := http.ParseTime(said)
	return date, err == nil
}

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

// oneLine makes foreign text fit for a log and a terminal: nothing that moves a cursor (C1 controls do so, too) or turns the
// direction of writing, and not more than a CA needs to be clear.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
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
