// Package mail sends mail: through a mail server (SMTP), through Amazon SES, or into a folder for trying things out.
//
//	mailer, err := mail.New(ctx, config.Mail{SES: &config.SES{}, From: "App <app@example.com>"}, log)
//	err = mailer.Send(ctx, mail.Message{To: []string{"ann@example.org"}, Subject: "Welcome", Text: "Hello Ann,\n…"})
//
// A message is text, and HTML beside it if need be. It is written here, in one way for all who carry it, and only of what cannot be taken for
// something else: texts that visitors wrote get into a message as texts, or not at all. What would have to be guessed at (a line break in a
// subject, a quoted local part, a field that says who a message is from) is refused, never mended.
//
// Send says with a fault code what to do: fault.Invalid means that this message will never be sent, fault.Unavailable that it should be
// tried again. What a person has to put right in the configuration, the account or the server is fault.Unavailable too: the message is not to blame, and
// nobody's mail is thrown away while a password is wrong. Errors and the log have no passwords in them and no texts of messages.
//
// A message goes to all its recipients or, as far as the carrier can say, to none. When an answer is lost nobody knows, and the message is sent
// again: by its Message-ID, made of Message.ID, the recipient's server may know it (SES gives messages an id of its own).
//
// # Amazon SES
//
// Credentials come from the SDK's default chain, the endpoint from the SDK's settings (AWS_ENDPOINT_URL_SESV2). A policy needs ses:SendEmail and
// ses:SendRawEmail on the identities of From. SES takes no mail for addresses with letters other than ASCII before the @.
//
// This package makes a program that has the AWS SDK already 2.6 MB larger; SES takes no memory before its first message.
//
// In come other ways to carry a message. What a message says, whom it is for and how often it is tried again is the caller's.
package mail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
)

const (
	sendTimeout = 30 * time.Second // of one message, from its turn on
	turnTimeout = 30 * time.Second // how long a message waits for its turn
	atOnce      = 8                // messages under way: a flood opens no more connections than this
	waiting     = 64               // messages that wait for their turn; each holds up to 2 MiB
)

// Message is what is sent. Texts are UTF-8.
type Message struct {
	To      []string          // addresses, "ann@example.org" or "Ann <ann@example.org>": 1 to 50, whom all of them see
	From    string            // "": the configured one
	ReplyTo string            // an address, or ""
	Subject string            // one line, up to 512 bytes
	Text    string            // up to 1 MiB; line ends are any, and the last line gets one
	HTML    string            // the same in HTML, up to 1 MiB, or ""
	Header  map[string]string // more fields, such as List-Unsubscribe: up to 20, words of ASCII with one space between them, up to 900 bytes
	ID      string            // what makes a repeat known as one: up to 128 of A-Z a-z 0-9 . _ + = -; "" for a random one
}

// carrier takes a letter to where it goes. Its errors have a fault code.
type carrier interface {
	carry(ctx context.Context, l *letter) error
}

// Mailer sends mail. It may be used by several goroutines at once.
type Mailer struct {
	from    address
	carrier carrier
	log     *slog.Logger
	queue   chan struct{} // who is under way or waits
	turns   chan struct{} // who is under way
}

// New makes a mailer of settings, with the defaults of those that are missing. It asks nothing of the network. log is told of each message
// that was sent, by its id; nil is slog's default.
func New(ctx context.Context, c config.Mail, log *slog.Logger) (*Mailer, error) {
	if log == nil {
		log = slog.Default()
	}
	from, err := parseAddress(c.From)
	if err != nil {
		return nil, fmt.Errorf("mail.from: %w", err)
	}
	m := &Mailer{from: from, log: log, queue: make(chan struct{}, atOnce+waiting), turns: make(chan struct{}, atOnce)}
	switch {
	case c.SMTP != nil && c.SES == nil && c.Folder == "":
		m.carrier, err = newServer(*c.SMTP)
	case c.SES != nil && c.SMTP == nil && c.Folder == "":
		m.carrier, err = newSES(ctx, *c.SES, log)
	case c.Folder != "" && c.SMTP == nil && c.SES == nil:
		m.carrier, err = newFolder(c.Folder)
	default:
		err = errors.New("mail is sent by exactly one of smtp, ses and folder")
	}
	if err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return m, nil
}

// Send sends a message, within 30 seconds after its turn has come or ctx's deadline if that is earlier. It returns nil when the message is in the hands of
// the server, of SES or in the folder. Errors have the code fault.Invalid or fault.Unavailable.
func (m *Mailer) Send(ctx context.Context, message Message) error {
	l, err := m.compose(message, time.Now())
	if err != nil {
		return err
	}
	done, err := m.turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeoutCause(ctx, sendTimeout, fmt.Errorf("it took longer than %v", sendTimeout))
	defer cancel()
	began := time.Now()
	if err := m.carrier.carry(ctx, l); err != nil {
		return err
	}
	m.log.Info("mail sent", "id", l.id, "recipients", len(l.to), "bytes", len(l.bytes), "took", time.Since(began))
	return nil
}

// turn waits until the message may be sent. Who has called done is not in the way any more.
func (m *Mailer) turn(ctx context.Context) (done func(), err error) {
	select {
	case m.queue <- struct{}{}:
	default:
		return nil, unavailable(nil, "more than %d messages wait to be sent already", waiting)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, turnTimeout, fmt.Errorf("messages before it took longer than %v", turnTimeout))
	defer cancel()
	select {
	case m.turns <- struct{}{}:
		return func() { <-m.turns; <-m.queue }, nil
	case <-ctx.Done():
		<-m.queue
		return nil, unavailable(context.Cause(ctx), "its turn did not come")
	}
}

// failure is what went wrong in words, with its code and what it comes from.
type failure struct {
	code fault.Code
	what string
	err  error // or nil
}

func (f *failure) Error() string {
	if f.err == nil {
		return "mail: " + f.what
	}
	return "mail: " + f.what + ": " + f.err.Error()
}

func (f *failure) Unwrap() []error {
	if f.err == nil {
		return []error{f.code}
	}
	return []error{f.code, f.err}
}

// invalid says why a message is never sent.
func invalid(format string, args ...any) error {
	return &failure{fault.Invalid, fmt.Sprintf(format, args...), nil}
}

// unavailable says why a message is not sent now. err may be nil.
func unavailable(err error, format string, args ...any) error {
	return &failure{fault.Unavailable, fmt.Sprintf(format, args...), err}
}

// clip makes foreign text fit to be part of an error.
func clip(text string) string {
	const most = 200
	if len(text) > most {
		text = text[:most] + "…"
	}
	return fmt.Sprintf("%q", text)
}
