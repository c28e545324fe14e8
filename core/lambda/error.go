package lambda

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// A Kind is what kind of thing went wrong with an invocation.
type Kind string

// The kinds.
const (
	Failed      Kind = "failed"      // the function ran, and said that it failed, or crashed
	Throttled   Kind = "throttled"   // too many invocations at once, here or in AWS: it did not run
	TimedOut    Kind = "timed_out"   // the answer did not come in time
	TooLarge    Kind = "too_large"   // the event is longer than Lambda takes
	Missing     Kind = "missing"     // there is no such function
	Denied      Kind = "denied"      // edge may not invoke it, or has no credentials
	Broken      Kind = "broken"      // the function can't be started as it is: its runtime, its keys, its program
	Unavailable Kind = "unavailable" // Lambda can't be reached, or has trouble of its own
)

// Error is why an invocation has no answer. What Type, Message and Trace say is the function's, for logs and the operator: a visitor must not see it.
type Error struct {
	Function   string
	Kind       Kind
	RequestID  string        // "" if the invocation did not come so far
	RetryAfter time.Duration // of what is throttled: when to come again
	Type       string        // of the function's error, or the code of Lambda's
	Message    string
	Trace      string // the function's stack trace as it sent it (JSON), cut off after 4 KB
	Err        error  // what lies below; nil if it is the function's own error
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "function %s: %s", e.Function, strings.ReplaceAll(string(e.Kind), "_", " "))
	for _, part := range []string{e.Type, plain(e.Message)} {
		if part != "" {
			b.WriteString(": " + part)
		}
	}
	if e.Message == "" && e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// plain is a message without the id that Lambda puts before it: "RequestId: … Error: why".
func plain(message string) string {
	if rest, ok := strings.CutPrefix(message, "RequestId: "); ok {
		if _, why, ok := strings.Cut(rest, " Error: "); ok {
			return why
		}
	}
	return message
}

// Unwrap returns what lies below.
func (e *Error) Unwrap() error { return e.Err }

// LogValue is the error with all that is known of it.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("function", e.Function), slog.String("kind", string(e.Kind))}
	for _, a := range []slog.Attr{slog.String("request_id", e.RequestID), slog.String("type", e.Type), slog.String("message", e.Message), slog.String("trace", e.Trace)} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("cause", e.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

// Status is the HTTP status of the answer to a visitor who waits for the function. It is what happened, where API Gateway says 500 or 503 to most of it.
func (e *Error) Status() int {
	switch e.Kind {
	case Throttled:
		return http.StatusTooManyRequests
	case TimedOut:
		return http.StatusGatewayTimeout
	case TooLarge:
		return http.StatusRequestEntityTooLarge
	case Unavailable:
		return http.StatusServiceUnavailable
	case Failed, Missing, Denied, Broken:
		return http.StatusBadGateway
	}
	return http.StatusBadGateway
}

// Retry reports whether the same event may fare better at another time. An event that is too large stays so; all else passes, or a person mends it (a function that is missing
// is deployed, a permission given, a bug fixed). An invocation that failed or timed out may have done some of its work.
func (e *Error) Retry() bool { return e.Kind != TooLarge }
