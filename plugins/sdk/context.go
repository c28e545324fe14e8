package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	protobuf "google.golang.org/protobuf/proto"

	"github.com/onehost/edge/plugins/internal/proto"
)

// Context is what a handler is given besides the delivery. It is a context.Context, done when the attempt's time is over or edge no longer wants it: pass it
// to whatever takes one (http.NewRequestWithContext, a database), and it ends in time.
type Context struct {
	context.Context
	log     *slog.Logger
	session *session
}

// session is what Start said: the same for all calls.
type session struct {
	secrets map[string]string
	host    proto.HostClient
}

// Log is a logger whose lines reach edge's log with the delivery's (or run's) id, and the plugin's name.
func (c Context) Log() *slog.Logger { return c.log }

// Secret is the secret that edge's configuration has for this plugin by that name; "" when it has none.
func (c Context) Secret(name string) string { return c.session.secrets[name] }

// KV is the plugin's own small durable store.
func (c Context) KV() KV { return KV{ctx: c, host: c.session.host} }

// Mail is a mail that edge is to send.
type Mail struct {
	To      []string // addresses
	ReplyTo string   // an address, or ""
	Subject string
	Text    string
	HTML    string // "" for none
	ID      string // what tells it apart, such as "receipt-" and the event's id: a mail that had to be sent twice is then seen as one by those who heed it
}

// Mail sends m by edge's configuration, from its address. The plugin's configuration has to allow it (`may: [mail]`), or the error is ErrDenied. When it
// returns nil the mail was handed on; a handler that is tried again would send it again, so wrap it into Once.
func (c Context) Mail(m Mail) error {
	to := make([]string, len(m.To))
	for i, address := range m.To {
		to[i] = text(address)
	}
	request := &proto.Mail{To: to, ReplyTo: text(m.ReplyTo), Subject: text(m.Subject), Text: text(m.Text), Html: text(m.HTML), Id: text(m.ID)}
	if n := protobuf.Size(request); n > maxMail {
		return fmt.Errorf("mail: %w: it has %d bytes, %d are allowed", ErrInvalid, n, maxMail)
	}
	_, err := c.session.host.SendMail(c, request)
	return told("mail", err)
}

// What edge may say to a plugin that asks it for something: compare with errors.Is. An attempt whose time is over gets context.DeadlineExceeded.
var (
	ErrNotFound    = errors.New("not found")            // there is no such key
	ErrConflict    = errors.New("changed meanwhile")    // the value has another version: get it again
	ErrBusy        = errors.New("in progress")          // somebody else is at it, or was when it crashed: try again later
	ErrDenied      = errors.New("not allowed")          // the plugin's configuration does not allow it: see `may`
	ErrInvalid     = errors.New("invalid")              // it never can work: too large, no address, no JSON
	ErrUnavailable = errors.New("unavailable just now") // it may work later
)

// told makes an error of what edge answered to the asking for what.
func told(what string, err error) error {
	if err == nil {
		return nil
	}
	said := status.Convert(err)
	var kind error
	switch said.Code() {
	case codes.PermissionDenied, codes.Unauthenticated:
		kind = ErrDenied
	case codes.InvalidArgument:
		kind = ErrInvalid
	case codes.Aborted:
		kind = ErrConflict
	case codes.NotFound:
		kind = ErrNotFound
	case codes.DeadlineExceeded:
		kind = context.DeadlineExceeded
	case codes.Canceled:
		kind = context.Canceled
	default: // all else is edge's own trouble, or a limit that is free again some time
		kind = ErrUnavailable
	}
	return fmt.Errorf("%s: %w: %s", what, kind, said.Message())
}

// text is s with what is no UTF-8 replaced: the wire takes nothing else as text.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// cut is the first n bytes of s as text, whole characters.
func cut(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return text(s)
}
