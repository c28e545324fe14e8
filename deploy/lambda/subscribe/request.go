package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/mail"
	"github.com/onehost/edge/deploy/lambda/internal/address"
	"github.com/onehost/edge/deploy/lambda/internal/ledger"
	"github.com/onehost/edge/deploy/lambda/internal/visit"
)

const (
	confirmWithin = 48 * time.Hour     // from the mail to the button
	pendingFor    = 7 * 24 * time.Hour // after which who did not press it is forgotten
)

// thanks is the answer to every address, whatever is known of it.
var thanks = visit.Page{Status: http.StatusOK, Title: "Please look at your mail", Text: "We have sent you a mail. Follow the link in it to be subscribed. If nothing comes within some minutes, look among the spam, and then try again."}

// request takes an address that somebody typed, theirs or not, and has a mail sent to it.
func (f *function) request(ctx context.Context, v *visit.Visit) (visit.Page, error) {
	to, err := address.Parse(v.Value("email"))
	if err != nil {
		return visit.Page{Status: http.StatusUnprocessableEntity, Title: "That is not an address", Text: "Please check your e-mail address: it has to be one like you@example.com."}, nil //nolint:nilerr // the visitor is told
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
	page, err := f.begun(ctx, v, to, state)
	if err != nil || page.Status >= http.StatusInternalServerError {
		return page, errors.Join(err, f.ledger.Drop(ctx, v.Submission))
	}
	return page, f.ledger.End(ctx, v.Submission)
}

// begun does what there is to do for a submission that is ours alone.
func (f *function) begun(ctx context.Context, v *visit.Visit, to address.Address, state ledger.State) (visit.Page, error) {
	taken, reached, err := f.ledger.Take(ctx, f.now(), f.caps.limits(to)...)
	switch {
	case err != nil:
		return visit.Page{}, err
	case reached != nil && reached.Fixed:
		f.log.Warn("a daily limit of mails is reached: SUBSCRIBE_DAILY or SUBSCRIBE_DOMAIN_DAILY is too low, or somebody fills in the form by program", "limit", reached.Most)
		return visit.Page{Status: http.StatusServiceUnavailable, RetryAfter: time.Hour, Title: "Too many today", Text: "We can't send more mail today. Please try again tomorrow."}, nil
	case reached != nil && state == ledger.Again:
		// Who was at it before did not come to an end: its mail may have been sent or not. When the limit allows it again, one is sent.
		return visit.Page{Status: http.StatusServiceUnavailable, RetryAfter: 10 * time.Minute, Title: "Please try again", Text: "Please try again in ten minutes."}, nil
	case reached != nil:
		f.log.Info("no mail: a limit of the mailbox is reached", "within", reached.Within.String())
		return thanks, nil
	}
	subscribed, err := f.subscribers.request(ctx, to, v.Client, f.now())
	if err == nil {
		err = f.mailer.Send(ctx, f.letter(to, subscribed, v.Submission))
	}
	switch {
	case err == nil:
		return thanks, nil
	case errors.Is(err, fault.Invalid): // the address is refused for good, which nobody is told; what was taken stays taken
		f.log.Warn("the mail was refused for good", "error", err)
		return thanks, nil
	}
	return visit.Page{}, errors.Join(fmt.Errorf("sending the mail: %w", err), taken.Give(ctx))
}

// letter is the mail, without any text of who asked for it. Who is subscribed already gets one too, so that neither what is answered nor how long
// it takes tells them from others.
func (f *function) letter(to address.Address, subscribed bool, submission string) mail.Message {
	now := f.now()
	unsubscribe := f.links.url(purposeUnsubscribe, f.links.token(purposeUnsubscribe, claim{Address: to.ID(), Issued: now.UnixMilli()}))
	m := mail.Message{
		To: []string{to.String()}, ID: messageID(submission),
		Header: map[string]string{
			"List-Unsubscribe": "<" + unsubscribe + ">", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click", // RFC 8058
			"Auto-Submitted": "auto-generated", // RFC 3834: no program answers it
		},
	}
	if subscribed {
		m.Subject = "You are subscribed to " + f.list
		m.Text = fmt.Sprintf("Somebody, most likely you, asked for %s to be sent to this address.\nIt is subscribed already: there is nothing to do.\n\nNo more mail of it, please:\n%s\n", f.list, unsubscribe)
		return m
	}
	confirm := f.links.url(purposeConfirm, f.links.token(purposeConfirm, claim{Address: to.ID(), Issued: now.UnixMilli(), Expires: now.Add(confirmWithin).UnixMilli()}))
	m.Subject = "Please confirm: " + f.list
	m.Text = fmt.Sprintf("Somebody, most likely you, asked for %s to be sent to this address.\n\nYes, subscribe me (good for two days):\n%s\n\nIf it was not you, do nothing: you will not be subscribed.\n\nNo more mail of this kind, please:\n%s\n", f.list, confirm, unsubscribe)
	return m
}
