package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"

	"github.com/onehost/edge/core/mail"
	"github.com/onehost/edge/deploy/lambda/internal/address"
	"github.com/onehost/edge/deploy/lambda/internal/visit"
)

const (
	subjectLength = 100       // characters of the visitor's subject
	nameLength    = 60        // characters of a field's name
	letterSize    = 900 << 10 // bytes of all that a visitor wrote, with what is put before lines: a mailer takes 1 MiB
)

// letter is the mail to CONTACT_TO. Who answers it answers the visitor.
func (f *function) letter(v *visit.Visit, from address.Address) mail.Message {
	var text strings.Builder
	for _, field := range v.Fields {
		value := plain(field.Value)
		if strings.Contains(value, "\n") {
			value = "\n    " + strings.ReplaceAll(value, "\n", "\n    ")
		}
		fmt.Fprintf(&text, "%s: %s\n", line(field.Name, nameLength), value)
	}
	for _, file := range v.Files {
		fmt.Fprintf(&text, "%s: the file %q of %d bytes, which is not in this mail\n", line(file.Field, nameLength), line(file.Name, nameLength), file.Size)
	}
	if all := text.String(); len(all) > letterSize {
		text.Reset()
		text.WriteString(strings.ToValidUTF8(all[:letterSize], "") + "\n[…] There is more, for which a mail has no room.\n")
	}
	fmt.Fprintf(&text, "\n-- \nSent from %s with the form at %s. Submission %s\n", line(v.Client, nameLength), line(v.Path, subjectLength), line(v.Submission, nameLength))
	return mail.Message{
		To: []string{f.to.String()}, ReplyTo: from.String(), ID: messageID("message", v.Submission),
		Subject: strings.TrimSpace(f.prefix + " " + line(v.Value("subject"), subjectLength)), Text: text.String(),
	}
}

// receiptLetter has nothing of the visitor's but the address that it goes to.
func (f *function) receiptLetter(v *visit.Visit, to address.Address) mail.Message {
	return mail.Message{
		To: []string{to.String()}, ID: messageID("receipt", v.Submission), Subject: "We have got your message",
		Text:   "Somebody, most likely you, wrote to us with our form and gave this address.\nWe have got the message. There is nothing to do.\n",
		Header: map[string]string{"Auto-Submitted": "auto-replied"}, // RFC 3834: no program answers it
	}
}

// line is a text as one line of at most so many characters, without what can't be seen.
func line(s string, length int) string {
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			return ' '
		}
		return visible(r)
	}, s)), " ")
	if runes := []rune(s); len(runes) > length {
		s = strings.TrimSpace(string(runes[:length-1])) + "…"
	}
	return s
}

// plain is a text of several lines, without controls.
func plain(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n").Replace(s)
	return strings.TrimRight(strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) {
			return -1
		}
		return visible(r)
	}, s), " \t\n")
}

// visible drops what turns the direction of text round, by which one text is shown as another.
func visible(r rune) rune {
	if r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 || r == 0xFEFF {
		return -1
	}
	return r
}

// messageID is the same for each time that a mail of a submission is sent, so that mail servers can tell a repeat.
func messageID(kind, submission string) string {
	sum := sha256.Sum256([]byte(name + " " + kind + " " + submission))
	return hex.EncodeToString(sum[:16])
}
