package mail

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"
)

// parsed is a letter as a mail program reads it.
type parsed struct {
	subject           string
	from, to, replyTo []*mail.Address
	text, html        string
	header            mail.Header
}

func parse(t testing.TB, letter []byte) parsed {
	t.Helper()
	message, err := mail.ReadMessage(bytes.NewReader(letter))
	if err != nil {
		t.Fatalf("it cannot be read: %v\n%q", err, letter)
	}
	p := parsed{header: message.Header}
	if p.subject, err = new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject")); err != nil {
		t.Fatal(err)
	}
	p.from, p.to = addresses(t, message.Header, "From"), addresses(t, message.Header, "To")
	if message.Header.Get("Reply-To") != "" {
		p.replyTo = addresses(t, message.Header, "Reply-To")
	}
	media, params, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if media == "text/plain" {
		p.text = decoded(t, quotedprintable.NewReader(message.Body))
		return p
	}
	if media != "multipart/alternative" {
		t.Fatalf("it is %s", media)
	}
	parts := multipart.NewReader(message.Body, params["boundary"])
	for _, into := range []*string{&p.text, &p.html} {
		part, err := parts.NextPart() // which decodes quoted-printable
		if err != nil {
			t.Fatal(err)
		}
		*into = decoded(t, part)
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Errorf("there is more than two parts: %v", err)
	}
	return p
}

func addresses(t testing.TB, h mail.Header, name string) []*mail.Address {
	t.Helper()
	list, err := h.AddressList(name)
	if err != nil {
		t.Fatalf("%s %q: %v", name, h.Get(name), err)
	}
	return list
}

func decoded(t testing.TB, r io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// asMail is a text as it arrives: line ends are CRLF, and the last line has one.
func asMail(text string) string {
	if text == "" {
		return ""
	}
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	return strings.ReplaceAll(strings.TrimSuffix(text, "\n")+"\n", "\n", "\r\n")
}

// checkWire checks what holds for all letters on the wire.
func checkWire(t testing.TB, l *letter) {
	t.Helper()
	for line := range strings.SplitSeq(strings.TrimSuffix(string(l.bytes), "\r\n"), "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("a line of %d characters, or a lone CR or LF or NUL: %q", len(line), line)
		}
	}
	if !l.utf8 && !isASCII(string(l.bytes)) {
		t.Errorf("it is not ASCII: %q", l.bytes)
	}
}

// composer is a mailer that composes only.
func composer() *Mailer {
	return &Mailer{from: address{name: "App", local: "app", domain: "example.com"}}
}

func mustCompose(t testing.TB, message Message) *letter {
	t.Helper()
	l, err := composer().compose(message, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	checkWire(t, l)
	return l
}

// plain is a message that there is nothing to say against.
func plain() Message {
	return Message{To: []string{"ann@example.org"}, Subject: "Hello", Text: "Hello Ann\n"}
}
