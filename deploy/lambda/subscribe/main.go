// Command subscribe is a Lambda function that keeps who wants to get mail, by double opt-in: who asks for it gets a mail with a link, and only
// who presses the button behind the link is subscribed. README.md beside its folder says how it is deployed and configured.
//
// Nothing that it answers says whether an address is known. It can't be made to send somebody mail without end: see limits.go. In its mails is no
// text of who asked. Links are signed; looking at one, which mail scanners do, changes nothing.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/onehost/edge/core/mail"
	"github.com/onehost/edge/deploy/lambda/internal/database"
	"github.com/onehost/edge/deploy/lambda/internal/ledger"
	"github.com/onehost/edge/deploy/lambda/internal/setting"
	"github.com/onehost/edge/deploy/lambda/internal/start"
	"github.com/onehost/edge/deploy/lambda/internal/visit"
)

const name = "subscribe"

func main() {
	start.Function(name, func(ctx context.Context, lookup func(string) string, log *slog.Logger) (start.Handler, error) {
		f, err := open(ctx, lookup, log)
		if err != nil {
			return nil, err
		}
		return f.handle, nil
	})
}

// function is the function with what it needs, for all invocations of a process.
type function struct {
	db          *database.Database
	subscribers subscribers
	ledger      *ledger.Ledger
	mailer      *mail.Mailer
	links       links
	caps        caps
	list        string // what the mails are about, for people
	now         func() time.Time
	log         *slog.Logger
}

func open(ctx context.Context, lookup func(string) string, log *slog.Logger) (*function, error) {
	s := setting.New(lookup)
	f := &function{
		links: links{base: s.Base("SUBSCRIBE_URL", ""), key: s.Key("SUBSCRIBE_KEY")},
		caps:  caps{domain: s.Count("SUBSCRIBE_DOMAIN_DAILY", 200), all: s.Count("SUBSCRIBE_DAILY", 1000)},
		list:  s.Text("SUBSCRIBE_LIST", "our newsletter"),
		now:   time.Now, log: log,
	}
	how := s.Mail()
	db, err := database.Open(ctx, s)
	if err := errors.Join(s.Err(), err); err != nil {
		return nil, err
	}
	f.db, f.subscribers, f.ledger = db, newSubscribers(db), ledger.New(db, name)
	f.mailer, err = mail.New(ctx, how, log)
	return f, err
}

// handle answers one event. What may succeed when it is tried again is answered with 503.
func (f *function) handle(ctx context.Context, event json.RawMessage) (any, error) {
	return visit.Serve(ctx, event, f.log, f.page)
}

func (f *function) page(ctx context.Context, v *visit.Visit) (visit.Page, error) {
	if !v.Looks() && v.Method != http.MethodPost {
		return visit.Page{}, &visit.Fault{Status: http.StatusMethodNotAllowed, Message: "Send the form, or follow the link of the mail."}
	}
	switch v.Last() {
	case purposeConfirm:
		return f.confirm(ctx, v)
	case purposeUnsubscribe:
		return f.unsubscribe(ctx, v)
	}
	if v.Looks() {
		return visit.Page{Status: http.StatusMethodNotAllowed, Title: "Nothing to see", Text: "Send the form, or follow the link of the mail."}, nil
	}
	return f.request(ctx, v)
}
