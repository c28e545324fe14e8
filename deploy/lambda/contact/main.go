// Command contact is a Lambda function that sends what visitors write to one address, CONTACT_TO, as plain text. README.md beside its folder says
// how it is deployed and configured.
//
// What a visitor wrote is in that mail alone: in its text, and bounded and in one line in its subject. The visitor gets no answer, or with
// CONTACT_RECEIPT a fixed text, as often as limits.go allows for one mailbox.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/onehost/edge/core/mail"
	"github.com/onehost/edge/deploy/lambda/internal/address"
	"github.com/onehost/edge/deploy/lambda/internal/database"
	"github.com/onehost/edge/deploy/lambda/internal/ledger"
	"github.com/onehost/edge/deploy/lambda/internal/setting"
	"github.com/onehost/edge/deploy/lambda/internal/start"
	"github.com/onehost/edge/deploy/lambda/internal/visit"
)

const name = "contact"

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
	db      *database.Database
	ledger  *ledger.Ledger
	mailer  *mail.Mailer
	to      address.Address
	prefix  string // of the subject
	receipt bool
	daily   int
	now     func() time.Time
	log     *slog.Logger
}

func open(ctx context.Context, lookup func(string) string, log *slog.Logger) (*function, error) {
	s := setting.New(lookup)
	f := &function{
		prefix: s.Text("CONTACT_SUBJECT", "Contact:"), receipt: s.On("CONTACT_RECEIPT"), daily: s.Count("CONTACT_DAILY", 500),
		now: time.Now, log: log,
	}
	if to := s.Need("CONTACT_TO", "the address that gets what visitors write"); to != "" {
		var err error
		if f.to, err = address.Parse(to); err != nil {
			s.Fault("CONTACT_TO", "has to be one address: info@example.com")
		}
	}
	how := s.Mail()
	db, err := database.Open(ctx, s)
	if err := errors.Join(s.Err(), err); err != nil {
		return nil, err
	}
	f.db, f.ledger = db, ledger.New(db, name)
	f.mailer, err = mail.New(ctx, how, log)
	return f, err
}

// handle answers one event. What may succeed when it is tried again is answered with 503 or 429.
func (f *function) handle(ctx context.Context, event json.RawMessage) (any, error) {
	return visit.Serve(ctx, event, f.log, f.take)
}
