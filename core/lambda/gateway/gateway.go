// Package gateway is what stands between HTTP and a function, as API Gateway's HTTP APIs do in AWS: it makes the event of a request
// (payload format 2.0), and of what the function returned the answer. A function can't tell the two apart.
//
// [NewHandler] does both for a rule that names a function. Forms make the event when they take what was sent, and invoke later.
//
// In come requests as edge hands them to its modules: fields that say who asks (RemoteAddr, X-Request-Id, X-Forwarded-*) are edge's own
// or those of a proxy that it trusts. What functions return comes in too, and is not trusted: an answer either can be sent or is an error.
package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/lambda"
)

// Invoker invokes functions by name. Its errors are *lambda.Error, which say what a visitor is told.
type Invoker interface {
	Invoke(ctx context.Context, function string, event []byte) (lambda.Result, error)
}

// SubmissionField is what a function knows a form's submission by, when it is delivered once more. Only forms set it.
const SubmissionField = "X-Edge-Submission"

// NewHandler answers requests with what function says to them. Nothing is invoked for a body that can't become an event; nothing is tried
// again. The invocation ends when the request's context does, or by the function's own timeout. Errors become problem documents, or a plain page for
// browsers, that hold nothing of what happened inside; they are logged once, with the function, the kind of failure and the request id.
func NewHandler(invoke Invoker, function string, log *slog.Logger) http.Handler {
	return &handler{invoke: invoke, function: function, log: log}
}

type handler struct {
	invoke   Invoker
	function string
	log      *slog.Logger
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := readBodyOf(r)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	r.Header.Del(SubmissionField)
	event, err := NewEvent(r, body)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	result, err := h.invoke.Invoke(r.Context(), h.function, event)
	if err != nil {
		h.failed(w, r, err)
		return
	}
	answer, err := ReadAnswer(result.Payload)
	if err != nil {
		h.record(r, slog.LevelError, "malformed", err, slog.String("lambda_request_id", result.RequestID))
		writeProblem(w, r, http.StatusBadGateway, "malformed", 0)
		return
	}
	answer.Write(w)
}

// readBodyOf reads no more than an event may have, which with a body of that length is too long already; API Gateway's own limit, 10 MB, is
// beyond what Lambda takes.
func readBodyOf(r *http.Request) ([]byte, error) {
	if r.ContentLength > lambda.MaxEvent {
		return nil, tooLarge(int(min(r.ContentLength, 1<<40)))
	}
	if r.ContentLength == 0 || r.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, lambda.MaxEvent))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge(len(body))
	}
	return body, err
}

// refuse answers a request that no event can be made of.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, kind := http.StatusBadRequest, "bad_body"
	if errors.Is(err, fault.TooLarge) {
		status, kind = http.StatusRequestEntityTooLarge, "too_large"
	}
	h.record(r, slog.LevelInfo, kind, err)
	writeProblem(w, r, status, kind, 0)
}

// failed answers for a function that has not.
func (h *handler) failed(w http.ResponseWriter, r *http.Request, err error) {
	status, kind, after := http.StatusBadGateway, "failed", time.Duration(0)
	if e, ok := errors.AsType[*lambda.Error](err); ok {
		status, kind, after = e.Status(), string(e.Kind), e.RetryAfter
		err = e // which is logged with all that it knows
	}
	level := slog.LevelError
	switch {
	case r.Context().Err() != nil && errors.Is(r.Context().Err(), context.Canceled):
		level, kind = slog.LevelInfo, "visitor_gone"
	case status < 500:
		level = slog.LevelWarn
	}
	h.record(r, level, kind, err)
	writeProblem(w, r, status, kind, after)
}

func (h *handler) record(r *http.Request, level slog.Level, kind string, err error, more ...any) {
	attrs := append([]any{"function", h.function, "kind", kind, "request_id", r.Header.Get("X-Request-Id"), "err", err}, more...)
	h.log.Log(context.WithoutCancel(r.Context()), level, "function did not answer", attrs...)
}
