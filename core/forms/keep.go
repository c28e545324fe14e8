package forms

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/forms/submissions"
	"github.com/onehost/edge/core/lambda"
	"github.com/onehost/edge/core/lambda/gateway"
	"github.com/onehost/edge/core/store"
)

const (
	keepTimeout = 10 * time.Second
	maxPage     = 2048 // bytes of where a form stood
)

// event is what the function gets: the request as it came, with what was taken for screening left out.
func (v *visit) event(id string) ([]byte, error) {
	contentType, body, err := v.sent.encode()
	if err != nil {
		return nil, err
	}
	r := v.r.Clone(v.r.Context())
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	r.Header.Del("Content-Encoding")
	r.Header.Del(gateway.SubmissionField)
	if id != "" { // what is kept for months holds nobody's session
		r.Header.Set(gateway.SubmissionField, id)
		r.Header.Del("Cookie")
		r.Header.Del("Authorization")
	}
	r.ContentLength = int64(len(body))
	event, err := gateway.NewEvent(r, body)
	if errors.Is(err, fault.TooLarge) {
		return nil, tooLarge("What you sent is larger than this form takes.")
	}
	return event, err
}

// keep keeps what was sent, and thanks. What looks like spam goes the same way, so that nobody sees or measures a difference.
func (f *Forms) keep(v *visit) error {
	id := store.NewID()
	event, err := v.event(id)
	if err != nil {
		return err
	}
	texts, files := v.sent.fields()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(v.r.Context()), keepTimeout)
	defer cancel()
	kept, repeat, err := f.Submissions.Keep(ctx, submissions.Submission{
		ID: id, Form: v.form.name, Function: v.form.Function, At: time.Now(), Reasons: v.reasons, Fields: texts, Files: files,
		Client: v.clientText(), Page: pageOf(v.r), RequestID: strings.ToValidUTF8(v.requestID, "?"), Key: v.key, Digest: v.digest, Event: event,
	})
	switch {
	case errors.Is(err, fault.Conflict) && v.ofToken:
		v.token = "" // it was used for something else: a new one is given
		return &oneMoreStep{}
	case errors.Is(err, fault.Conflict):
		return &refusal{status: http.StatusUnprocessableEntity, outcome: Conflicted, code: "idempotency_key",
			detail: "This Idempotency-Key was used for something else before. Use a new one."}
	case errors.Is(err, fault.TooLarge):
		return tooLarge("What you sent is larger than this form takes.")
	case errors.Is(err, fault.Invalid):
		return invalid("What you sent can't be kept.")
	case err != nil:
		f.Log.Error("a submission could not be kept", "form", v.form.name, "request_id", v.requestID, "err", err)
		return &refusal{status: http.StatusServiceUnavailable, outcome: Unavailable, code: string(fault.Unavailable), after: retryAfter,
			detail: "What you sent could not be kept, and was not sent on. Please try again in a moment."}
	}
	outcome := Kept
	switch {
	case repeat:
		outcome = Repeated
	case len(v.reasons) > 0:
		outcome = Flagged
	}
	v.form.counts.add(outcome)
	v.thank(kept.ID)
	return nil
}

// pageOf is where the form stood, as far as the request says.
func pageOf(r *http.Request) string {
	where := r.Header.Get("Referer")
	if where == "" {
		where = r.Header.Get("Origin")
	}
	return strings.ToValidUTF8(where[:min(len(where), maxPage)], "")
}

// pass waits for the function and passes on what it answers. Nothing is kept: an Idempotency-Key is the function's to heed, which gets it.
func (f *Forms) pass(v *visit) error {
	event, err := v.event("")
	if err != nil {
		return err
	}
	result, err := f.Invoke.Invoke(v.r.Context(), v.form.Function, event)
	if err != nil {
		return f.notInvoked(v, err)
	}
	answer, err := gateway.ReadAnswer(result.Payload)
	if err != nil {
		f.Log.Error("a form's function answered what can't be sent", "form", v.form.name, "function", v.form.Function, "request_id", v.requestID, "lambda_request_id", result.RequestID, "err", err)
		return failed(http.StatusBadGateway, 0)
	}
	v.form.counts.add(Invoked)
	answer.Write(v.w)
	return nil
}

func (f *Forms) notInvoked(v *visit, err error) error {
	if v.r.Context().Err() == nil {
		f.Log.Error("a form's function did not answer", "form", v.form.name, "function", v.form.Function, "request_id", v.requestID, "err", err)
	}
	known, ok := errors.AsType[*lambda.Error](err)
	if !ok {
		return failed(http.StatusBadGateway, 0)
	}
	return failed(known.Status(), max(known.RetryAfter, retryAfter))
}

func failed(status int, after time.Duration) *refusal {
	r := &refusal{status: status, outcome: Failed, code: "function"}
	switch status {
	case http.StatusRequestEntityTooLarge:
		r.detail = "What you sent is larger than this form takes."
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		r.detail, r.after = "The service is busy right now. Please try again in a moment.", after
	case http.StatusGatewayTimeout:
		r.detail = "The answer took too long. It is not known whether what you sent has arrived."
	default:
		r.detail = "The form did not work. Please try again in a moment."
	}
	return r
}
