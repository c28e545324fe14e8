package mail

import (
	"fmt"
	"maps"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/fault"
)

func TestALetterSaysExactlyWhatTheMessageSaid(t *testing.T) {
	for name, message := range map[string]Message{
		"plain":           {Subject: "Hello Ann", Text: "Hello"},
		"dots and breaks": {Subject: "Dots", Text: ".\n..\n.a\r\nb\rc\n\n.\n"},
		"UTF-8":           {Subject: "Grüße aus 東京 🗼", Text: "Zürich 東京\n", HTML: "<p>Zürich 東京"},
		"long lines":      {Subject: strings.Repeat("word ", 90) + "end", Text: strings.Repeat("x", 5000) + " \t\n" + strings.Repeat("ü", 3000), HTML: strings.Repeat("<b>", 900)},
		"one long word":   {Subject: strings.Repeat("x", 512), Text: "x"},
		"spaces":          {Subject: "  a   b  ", Text: " a \n b \t"},
		"encoded words":   {Subject: "=?utf-8?q?not_this?= =?utf-8?b?eA==?=", Text: "=?utf-8?q?x?= =3D ="},
		"many spaces":     {Subject: strings.Repeat("a  ", 100) + "b", Text: "x", HTML: "\n"},
		"controls":        {Subject: "Controls", Text: "\x01\x1b[31m\x7f\f\v"},
		"a boundary":      {Subject: "Boundary", Text: "--x\n--x--\n", HTML: "--x--"},
	} {
		t.Run(name, func(t *testing.T) {
			message.To = []string{"ann@example.org"}
			got := parse(t, mustCompose(t, message).bytes)
			if got.subject != message.Subject || got.text != asMail(message.Text) || got.html != asMail(message.HTML) {
				t.Errorf("it reads %q, %q, %q", got.subject, got.text, got.html)
			}
		})
	}
}

func TestALettersFields(t *testing.T) {
	m := plain()
	m.To = []string{`"Müller, \"Max\"" <max@müller.example>`, "Bo Li <bo@example.org>"}
	m.ReplyTo, m.ID = "=?utf-8?q?J=C3=BCrgen?= <j@example.net>", "contact-0199e2c4.1"
	m.Header = map[string]string{
		"List-Unsubscribe": "<https://example.com/u/" + strings.Repeat("x", 600) + ">", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click", "References": strings.Repeat("<0199e2c4@example.com> ", 30) + "<1@example.com>", "Auto-Submitted": "auto-generated",
	}
	at := time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)
	l, err := composer().compose(m, at)
	if err != nil {
		t.Fatal(err)
	}
	checkWire(t, l)
	got := parse(t, l.bytes)
	want := []*mail.Address{{Name: `Müller, "Max"`, Address: "max@xn--mller-kva.example"}, {Name: "Bo Li", Address: "bo@example.org"}}
	if !slices.EqualFunc(got.to, want, func(a, b *mail.Address) bool { return *a == *b }) {
		t.Errorf("to %v", got.to)
	}
	if *got.from[0] != (mail.Address{Name: "App", Address: "app@example.com"}) || *got.replyTo[0] != (mail.Address{Name: "Jürgen", Address: "j@example.net"}) {
		t.Errorf("from %v, reply to %v", got.from, got.replyTo)
	}
	if id := got.header.Get("Message-Id"); id != "<contact-0199e2c4.1@example.com>" {
		t.Errorf("id %s", id)
	}
	if date, err := got.header.Date(); err != nil || !date.Equal(at) {
		t.Errorf("date %v, %v", date, err)
	}
	for name, value := range m.Header {
		if got.header.Get(name) != value {
			t.Errorf("%s: %s", name, got.header.Get(name))
		}
	}
	names := slices.Sorted(maps.Keys(got.header))
	if !slices.Equal(names, []string{"Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "List-Unsubscribe", "List-Unsubscribe-Post", "Message-Id", "Mime-Version", "References", "Reply-To", "Subject", "To"}) {
		t.Errorf("it has %v", names)
	}
}

func TestFiftyLongRecipientsAreFoldedAndComeBackAsTheyWere(t *testing.T) {
	m := plain()
	m.To = nil
	for i := range recipientLimit {
		m.To = append(m.To, fmt.Sprintf("%s %d <ann%d@example.org>", strings.Repeat("Ann Lee ", 1+i%20), i, i))
	}
	for i, a := range parse(t, mustCompose(t, m).bytes).to {
		sameAddress(t, a, m.To[i])
	}
}

func TestMessagesWithoutAnIDHaveDifferentOnes(t *testing.T) {
	a, b := mustCompose(t, plain()), mustCompose(t, plain())
	if a.id == b.id || len(a.id) < 20 {
		t.Errorf("%s, %s", a.id, b.id)
	}
}

func TestWhatCouldBeTakenForSomethingElseIsRefused(t *testing.T) {
	many := make(map[string]string)
	for i := range headerLimit + 1 {
		many[fmt.Sprintf("X-%d", i)] = "x"
	}
	for name, change := range map[string]func(*Message){
		"no recipient":              func(m *Message) { m.To = nil },
		"too many recipients":       func(m *Message) { m.To = slices.Repeat(m.To, recipientLimit+1) },
		"no subject":                func(m *Message) { m.Subject = "" },
		"CRLF in the subject":       func(m *Message) { m.Subject = "a\r\nBcc: eve@example.org" },
		"LF in the subject":         func(m *Message) { m.Subject = "a\nb" },
		"CR in the subject":         func(m *Message) { m.Subject = "a\rb" },
		"NUL in the subject":        func(m *Message) { m.Subject = "a\x00b" },
		"C1 in the subject":         func(m *Message) { m.Subject = "a\u0085b" },
		"bad UTF-8 in the subject":  func(m *Message) { m.Subject = "a\xff" },
		"a long subject":            func(m *Message) { m.Subject = strings.Repeat("x", subjectLimit+1) },
		"no text":                   func(m *Message) { m.Text, m.HTML = "", "<p>" },
		"a long text":               func(m *Message) { m.Text = strings.Repeat("x", textLimit+1) },
		"a long HTML":               func(m *Message) { m.HTML = strings.Repeat("x", textLimit+1) },
		"NUL in the text":           func(m *Message) { m.Text = "\x00" },
		"bad UTF-8 in the HTML":     func(m *Message) { m.HTML = "\xff" },
		"an ID with a slash":        func(m *Message) { m.ID = "../a" },
		"an ID that is a folder":    func(m *Message) { m.ID = ".." },
		"an ID with >":              func(m *Message) { m.ID = "a>" },
		"too many fields":           func(m *Message) { m.Header = many },
		"CRLF in a field":           func(m *Message) { m.Header = map[string]string{"X": "a\r\nBcc: b@example.org"} },
		"UTF-8 in a field":          func(m *Message) { m.Header = map[string]string{"X": "ü"} },
		"an empty field":            func(m *Message) { m.Header = map[string]string{"X": ""} },
		"spaces in a field":         func(m *Message) { m.Header = map[string]string{"X": "a  b"} },
		"a long field":              func(m *Message) { m.Header = map[string]string{"X": strings.Repeat("x", fieldLimit+1)} },
		"a field's name with colon": func(m *Message) { m.Header = map[string]string{"X: y\r\nBcc": "b@example.org"} },
		"a field without name":      func(m *Message) { m.Header = map[string]string{"": "x"} },
		"a field given twice":       func(m *Message) { m.Header = map[string]string{"X-A": "1", "x-a": "2"} },
	} {
		t.Run(name, func(t *testing.T) {
			m := plain()
			change(&m)
			if l, err := composer().compose(m, time.Now()); fault.CodeOf(err) != fault.Invalid {
				t.Errorf("%v %+v", err, l)
			}
		})
	}
}

func TestFieldsOfTheLettersOwnCannotBeSet(t *testing.T) {
	for _, name := range []string{
		"From", "from", "TO", "Cc", "Bcc", "Sender", "Reply-To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
		"Content-Disposition", "Return-Path", "Received", "Resent-To", "Resent-Bcc", "DKIM-Signature", "Authentication-Results", "ARC-Seal", "X-SES-Source-ARN",
	} {
		m := plain()
		m.Header = map[string]string{name: "x@example.org"}
		if _, err := composer().compose(m, time.Now()); fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzLetter: of foreign strings comes a letter that says exactly them, or none.
func FuzzLetter(f *testing.F) {
	f.Add("ann@example.org", "Ann <ann@example.org>", "Hello", "Hello\n", "", "List-Unsubscribe", "<mailto:x@example.org>", "id-1")
	f.Add("x@müller.example", "=?utf-8?q?=0ABcc:?= <a@b.example>", "a\r\nBcc: x@y.example", ".\r\n.\r\n", "<p>ü", "From", "x", "")
	f.Add(`"a b"@example.org`, `"x> ORCPT=y"@example.org`, " ü =?utf-8?q?x?=", "\x00\xff", "--\r\n", "X:", "\n", "../x")
	f.Add("用户@example.org", `"\"\\" <a@b>`, strings.Repeat("a ", 200), "=\n=3D \n", "\r", "X", "a  b", "a..b")
	f.Fuzz(func(t *testing.T, to, replyTo, subject, text, html, name, value, id string) {
		m := Message{To: []string{to, "bo@example.org"}, ReplyTo: replyTo, Subject: subject, Text: text, HTML: html, Header: map[string]string{name: value}, ID: id}
		l, err := composer().compose(m, time.Now())
		if err != nil {
			if fault.CodeOf(err) != fault.Invalid || l != nil {
				t.Errorf("%v", err)
			}
			return
		}
		checkWire(t, l)
		got := parse(t, l.bytes)
		if got.subject != subject || got.text != asMail(text) || got.html != asMail(html) {
			t.Errorf("it reads %q, %q, %q", got.subject, got.text, got.html)
		}
		if values := got.header[canonical(name)]; len(values) != 1 || values[0] != value {
			t.Errorf("%s: %q", name, values)
		}
		sameAddress(t, got.to[0], to)
		if len(got.to) != 2 || len(got.from) != 1 || got.header.Get("Bcc") != "" || len(got.header) > 11 {
			t.Errorf("it has %v", got.header)
		}
		if replyTo != "" {
			sameAddress(t, got.replyTo[0], replyTo)
		}
		if id != "" && got.header.Get("Message-Id") != "<"+id+"@example.com>" {
			t.Errorf("id %q", got.header.Get("Message-Id"))
		}
	})
}
