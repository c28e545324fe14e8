package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"github.com/onehost/edge/deploy/lambda/internal/visit"
)

// confirm shows the button, and subscribes who presses it.
func (f *function) confirm(ctx context.Context, v *visit.Visit) (visit.Page, error) {
	c, err := f.links.read(purposeConfirm, v.Query["token"], f.now())
	if err != nil {
		return badLink(err), nil
	}
	if v.Looks() || v.Value("confirm") != "yes" {
		return visit.Page{Status: http.StatusOK, Title: "Subscribe?", Text: "Press the button to get " + f.list + ".", Button: "Subscribe", Name: "confirm", Value: "yes"}, nil
	}
	stop := f.links.token(purposeUnsubscribe, claim{Address: c.Address, Issued: f.now().UnixMilli()})
	ok, err := f.subscribers.confirm(ctx, confirmation{id: c.Address, issued: time.UnixMilli(c.Issued), client: v.Client, unsubscribe: stop}, f.now())
	switch {
	case err != nil:
		return visit.Page{}, err
	case !ok:
		return badLink(errExpired), nil
	}
	return visit.Page{Status: http.StatusOK, Title: "You are subscribed", Text: "Thank you. Every mail says how to end it."}, nil
}

// unsubscribe shows the button, and takes out who presses it, or whose mail program posts List-Unsubscribe=One-Click (RFC 8058) to the same URL.
func (f *function) unsubscribe(ctx context.Context, v *visit.Visit) (visit.Page, error) {
	c, err := f.links.read(purposeUnsubscribe, v.Query["token"], f.now())
	if err != nil {
		return badLink(err), nil
	}
	if v.Looks() || v.Value("List-Unsubscribe") != "One-Click" {
		return visit.Page{Status: http.StatusOK, Title: "Unsubscribe?", Text: "Press the button to get no more mail of " + f.list + ".", Button: "Unsubscribe", Name: "List-Unsubscribe", Value: "One-Click"}, nil
	}
	if err := f.subscribers.unsubscribe(ctx, c.Address, f.now()); err != nil {
		return visit.Page{}, err
	}
	return visit.Page{Status: http.StatusOK, Title: "You are unsubscribed", Text: "You get no more mail of " + f.list + "."}, nil
}

func badLink(err error) visit.Page {
	if errors.Is(err, errExpired) {
		return visit.Page{Status: http.StatusGone, Title: "This link has expired", Text: "Please fill in the form once more to get a new one."}
	}
	return visit.Page{Status: http.StatusBadRequest, Title: "This link does not work", Text: "It is not whole. Please copy all of it from the mail."}
}

// messageID is the same for each time that the mail of a submission is sent, so that mail servers can tell a repeat.
func messageID(submission string) string {
	sum := sha256.Sum256([]byte(name + " " + submission))
	return hex.EncodeToString(sum[:16])
}
