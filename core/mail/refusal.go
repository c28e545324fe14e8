package mail

import (
	"encoding/base64"
	"errors"
	"net/textproto"
	"slices"
	"strings"

	"github.com/onehost/edge/core/fault"
)

// step is how far a conversation with a mail server has come.
type step struct {
	what    string // what the server was told
	advice  string // what a person can do when the server says no for good
	message bool   // whether a no for good may be about the message; before, it is about how the server is used
}

var (
	greeting = step{what: "the connection", advice: "is this host, or its address, one that the server takes mail from?"}
	hello    = step{what: "the first greeting", advice: "is mail.smtp.port the one for sending mail?"}
	startTLS = step{what: "STARTTLS", advice: "set mail.smtp.tls to what the server has"}
	login    = step{what: "the login", advice: "mend mail.smtp.user and mail.smtp.password"}
	sender   = step{what: "the sender", advice: "may mail.smtp.user send as mail.from?"}
	content  = step{what: "the message", advice: "mend mail.smtp", message: true}
)

func recipient(a address) step {
	return step{what: "the recipient " + a.spec(), advice: "does the server take mail for others only of who logs in? Mend mail.smtp", message: true}
}

// refused says what a failed step means. What a server says no to for good (5yz) is never tried again if it can be about the message: a recipient that is not there, a text that
// it takes for spam. All else can be otherwise next time.
func (s *server) refused(at step, err error) error {
	reply, ok := errors.AsType[*textproto.Error](err)
	if !ok {
		return unavailable(err, "the mail server %s failed at %s", s.address(), at.what)
	}
	said := clip(s.withoutPassword(reply.Msg))
	switch {
	case reply.Code < 500:
		return unavailable(nil, "the mail server %s does not take %s now: %d %s", s.address(), at.what, reply.Code, said)
	case at.message && isAboutMessage(at, reply):
		return invalid("the mail server %s refuses %s: %d %s", s.address(), at.what, reply.Code, said)
	case at == sender && reply.Code == 552: // it told the size
		return invalid("the mail server %s takes no message as large as this: %d %s", s.address(), reply.Code, said)
	default:
		return unavailable(nil, "the mail server %s refuses %s: %d %s (%s)", s.address(), at.what, reply.Code, said, at.advice)
	}
}

// isAboutMessage tells a no to the message from one to whoever brings it. There are codes for most of the latter (RFC 5321, section 4.2.2 and RFC 4954, section 6); only
// of "relaying denied" servers have none that others would not mean otherwise, but all of them say relay.
func isAboutMessage(at step, reply *textproto.Error) bool {
	switch {
	case slices.Contains([]int{500, 502, 503, 504, 530, 534, 535, 538, 555}, reply.Code):
		return false
	case reply.Code == 552 && at != content: // too many at once, or a full mailbox: as 452 (RFC 5321, section 4.5.3.1.10)
		return false
	}
	return !strings.Contains(strings.ToLower(reply.Msg), "relay")
}

// answered reports whether an error is an answer, after which the conversation can go on.
func answered(err error) bool {
	_, ok := errors.AsType[*textproto.Error](err)
	return ok
}

// worst joins what became of several recipients: one that is refused for good is enough for the message never to be sent.
func worst(refusals []error) error {
	for _, err := range refusals {
		if fault.CodeOf(err) == fault.Invalid {
			return err
		}
	}
	return refusals[0]
}

// withoutPassword keeps a server's words from telling the password, in any form in which the server got it.
func (s *server) withoutPassword(text string) string {
	if s.Password == "" {
		return text
	}
	encode := base64.StdEncoding.EncodeToString
	return strings.NewReplacer(
		encode([]byte("\x00"+s.User+"\x00"+s.Password)), "…",
		encode([]byte(s.Password)), "…",
		s.Password, "…",
	).Replace(text)
}
