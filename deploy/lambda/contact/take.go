package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/deploy/lambda/internal/address"
	"github.com/onehost/edge/deploy/lambda/internal/ledger"
	"github.com/onehost/edge/deploy/lambda/internal/visit"
)

var thanks = visit.Page{Status: http.StatusOK, Title: "Thank you", Text: "We have got your message."}

// take sends what a visitor wrote, once for each submission. When a process dies between sending and writing that down, it is sent again
// with the same Message-ID: twice is better than never.
func (f *function) take(ctx context.Context, v *visit.Visit) (visit.Page, error) {
	if v.Method != http.MethodPost {
		return visit.Page{}, &visit.Fault{Status: http.StatusMethodNotAllowed, Message: "Send the form."}
	}
	from, err := address.Parse(v.Value("email"))
	if err != nil {
		return visit.Page{Status: http.StatusUnprocessableEntity, Title: "That is not an address", Text: "Please check your e-mail address: it has to be one like you@example.com."}, nil //nolint:nilerr // the visitor is told
	}
	if isEmpty(v) {
		return visit.Page{Status: http.StatusUnprocessableEntity, Title: "There is no message", Text: "Please write something."}, nil
	}
	state, err := f.ledger.Begin(ctx, v.Submission, f.now())
	if err != nil {
		return visit.Page{}, err
	}
	switch state {
	case ledger.Over:
		return thanks, nil
	case ledger.Busy:
		return visit.Page{}, errors.New("another invocation is at this submission")
	case ledger.Fresh, ledger.Again:
	}
	page, err := f.begun(ctx, v, from)
	if err != nil || page.Status != http.StatusOK {
		return page, errors.Join(err, f.ledger.Drop(ctx, v.Submission))
	}
	if err := f.ledger.End(ctx, v.Submission); err != nil {
		return visit.Page{}, err
	}
	if f.receipt {
		f.sendReceipt(ctx, v, from)
	}
	return page, nil
}

// begun does what there is to do for a submission that is ours alone.
func (f *function) begun(ctx context.Context, v *visit.Visit, from address.Address) (visit.Page, error) {
	taken, reached, err := f.ledger.Take(ctx, f.now(), f.limits(v, from)...)
	if err != nil {
		return visit.Page{}, err
	}
	if reached != nil {
		f.log.Warn("a limit of messages is reached", "most", reached.Most, "within", reached.Within.String())
		return visit.Page{Status: http.StatusTooManyRequests, RetryAfter: time.Hour, Title: "Too many messages", Text: "We can't take more messages at the moment. Please try again later."}, nil
	}
	err = f.mailer.Send(ctx, f.letter(v, from))
	switch {
	case err == nil:
		return thanks, nil
	case errors.Is(err, fault.Invalid):
		return visit.Page{}, errors.Join(fmt.Errorf("the mail to CONTACT_TO was refused for good: see to CONTACT_TO and MAIL_FROM: %w", err), taken.Give(ctx))
	}
	return visit.Page{}, errors.Join(fmt.Errorf("sending the mail: %w", err), taken.Give(ctx))
}

// isEmpty reports whether there is nothing but an address.
func isEmpty(v *visit.Visit) bool {
	for _, field := range v.Fields {
		if field.Name != "email" && v.Value(field.Name) != "" {
			return false
		}
	}
	return len(v.Files) == 0
}

// sendReceipt tells the visitor that the message came. It is sent once at most, and failing to do so is nobody's loss.
func (f *function) sendReceipt(ctx context.Context, v *visit.Visit, to address.Address) {
	_, reached, err := f.ledger.Take(ctx, f.now(), receiptLimits(to, f.daily)...)
	if err == nil && reached == nil {
		err = f.mailer.Send(ctx, f.receiptLetter(v, to))
	}
	if err != nil {
		f.log.Warn("no receipt was sent", "error", err)
	}
}
