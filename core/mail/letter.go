package mail

import (
	"bytes"
	"crypto/rand"
	"io"
	"maps"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	recipientLimit = 50      // that of SES; servers take 100 (RFC 5321, section 4.5.3.1.8)
	subjectLimit   = 512     // bytes
	textLimit      = 1 << 20 // bytes, of the text and of the HTML
	headerLimit    = 20      // fields that a caller may add
	idLimit        = 128     // bytes
)

// letter is a message as it travels.
type letter struct {
	id    string // the left side of its Message-ID
	from  address
	to    []address
	utf8  bool   // whether it needs SMTPUTF8: it has an address with letters other than ASCII before the @
	bytes []byte // RFC 5322, lines end with CRLF, no line is longer than 998 characters, ASCII unless utf8
}

// compose checks a message and writes it down.
func (m *Mailer) compose(message Message, now time.Time) (*letter, error) {
	l := &letter{id: message.ID, from: m.from}
	if err := l.readAddresses(message); err != nil {
		return nil, err
	}
	replyTo := ""
	if message.ReplyTo != "" {
		a, err := parseAddress(message.ReplyTo)
		if err != nil {
			return nil, err
		}
		replyTo = a.field()
		l.utf8 = l.utf8 || !a.ascii()
	}
	if err := checkTexts(message); err != nil {
		return nil, err
	}
	if l.id == "" {
		l.id = strings.ToLower(rand.Text())
	}
	var out bytes.Buffer
	out.WriteString(fold("Date", now.Format(time.RFC1123Z)))
	out.WriteString(fold("From", l.from.field()))
	to := make([]string, 0, len(l.to))
	for _, a := range l.to {
		to = append(to, a.field())
	}
	out.WriteString(fold("To", strings.Join(to, ", ")))
	if replyTo != "" {
		out.WriteString(fold("Reply-To", replyTo))
	}
	out.WriteString(fold("Subject", unstructured(message.Subject)))
	out.WriteString(fold("Message-ID", "<"+l.id+"@"+l.from.domain+">"))
	for _, name := range slices.Sorted(maps.Keys(message.Header)) {
		out.WriteString(fold(name, message.Header[name]))
	}
	out.WriteString("MIME-Version: 1.0\r\n")
	if err := writeBody(&out, message); err != nil {
		return nil, err
	}
	l.bytes = out.Bytes()
	return l, nil
}

func (l *letter) readAddresses(message Message) (err error) {
	if len(message.To) == 0 || len(message.To) > recipientLimit {
		return invalid("a message has 1 to %d recipients, not %d", recipientLimit, len(message.To))
	}
	if message.From != "" {
		if l.from, err = parseAddress(message.From); err != nil {
			return err
		}
	}
	l.utf8 = !l.from.ascii()
	for _, text := range message.To {
		a, err := parseAddress(text)
		if err != nil {
			return err
		}
		l.to = append(l.to, a)
		l.utf8 = l.utf8 || !a.ascii()
	}
	return nil
}

func checkTexts(message Message) error {
	switch {
	case message.Subject == "" || len(message.Subject) > subjectLimit || hasControl(message.Subject):
		return invalid("a subject has 1 to %d bytes of UTF-8, without line breaks and control characters", subjectLimit)
	case message.Text == "":
		return invalid("a message needs a text, also where it has HTML")
	case len(message.Text) > textLimit || len(message.HTML) > textLimit:
		return invalid("the text or the HTML has more than %d bytes", textLimit)
	case !isText(message.Text) || !isText(message.HTML):
		return invalid("the text or the HTML is not UTF-8, or has a NUL in it")
	case message.ID != "" && !isID(message.ID):
		return invalid("%s is no ID of a message: up to %d of A-Z a-z 0-9 . _ + = -, not beginning or ending with a dot or with two beside each other", clip(message.ID), idLimit)
	case len(message.Header) > headerLimit:
		return invalid("more than %d fields are added", headerLimit)
	}
	seen := make(map[string]bool)
	for name, value := range message.Header {
		if err := checkField(name, value); err != nil {
			return err
		}
		lower := strings.ToLower(name)
		if seen[lower] {
			return invalid("the field %s is given twice", name)
		}
		seen[lower] = true
	}
	return nil
}

func isText(text string) bool { return utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 }

// isID reports whether text can stand left of the @ of a Message-ID, and be the name of a file.
func isID(text string) bool {
	return len(text) <= idLimit && isDotAtom(text) &&
		strings.IndexFunc(text, func(r rune) bool {
			return r >= utf8.RuneSelf || !isAlphanumeric(byte(r)) && !strings.ContainsRune("._+=-", r)
		}) < 0
}

// writeBody writes the fields that say what the texts are, and the texts: the plainest first (RFC 2046, section 5.1.4).
func writeBody(out *bytes.Buffer, message Message) error {
	const plain, html, encoding = "text/plain; charset=utf-8", "text/html; charset=utf-8", "quoted-printable"
	if message.HTML == "" {
		out.WriteString("Content-Type: " + plain + "\r\nContent-Transfer-Encoding: " + encoding + "\r\n\r\n")
		return writeText(out, message.Text)
	}
	parts := multipart.NewWriter(out)
	out.WriteString("Content-Type: multipart/alternative;\r\n boundary=" + parts.Boundary() + "\r\n\r\n")
	for _, p := range [...]struct{ media, text string }{{plain, message.Text}, {html, message.HTML}} {
		w, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {p.media}, "Content-Transfer-Encoding": {encoding}})
		if err != nil {
			return err
		}
		if err := writeText(w, p.text); err != nil {
			return err
		}
	}
	return parts.Close()
}

// writeText writes a text as quoted-printable, which makes its lines short and of ASCII, and its line ends CRLF.
func writeText(out io.Writer, text string) error {
	w := quotedprintable.NewWriter(out)
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	if last := text[len(text)-1]; last != '\n' && last != '\r' {
		if _, err := io.WriteString(w, "\r\n"); err != nil {
			return err
		}
	}
	return w.Close()
}
