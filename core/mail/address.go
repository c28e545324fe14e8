package mail

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

const (
	addressLimit = 1000 // bytes, with the name
	nameLimit    = 256  // bytes
	localLimit   = 64   // bytes (RFC 5321, section 4.5.3.1)
	domainLimit  = 253  // bytes; with the local part's it keeps a path below its limit
	labelLimit   = 63   // bytes
)

// address is a mailbox.
type address struct {
	name   string // what people call it, or ""
	local  string // a dot-atom (RFC 5322, section 3.4.1), of UTF-8 (RFC 6532)
	domain string // a host name in ASCII
}

// spec is the address without its name. It has no character in it that means something in a command or field.
func (a address) spec() string { return a.local + "@" + a.domain }

func (a address) ascii() bool { return isASCII(a.local) }

// field is the address as in a field of a message.
func (a address) field() string {
	if a.name == "" {
		return a.spec()
	}
	return phrase(a.name) + " <" + a.spec() + ">"
}

// parseAddress takes local@domain and Name <local@domain>, and nothing else that RFC 5322 has: no groups, no comments beside a bare address and no quoted local
// parts, of which programs on a message's way disagree whom they mean (RFC 5321, section 4.1.2 advises against having any).
func parseAddress(text string) (address, error) {
	if len(text) > addressLimit || hasControl(text) {
		return address{}, invalid("the address %s is too long, or has a line break or control character in it", clip(text))
	}
	parsed, err := mail.ParseAddress(text)
	if err != nil {
		return address{}, invalid("%s is no address such as ann@example.org or Ann <ann@example.org>", clip(text))
	}
	if text != parsed.Address && !strings.HasSuffix(text, "<"+parsed.Address+">") {
		return address{}, invalid("%s is no plain address: write ann@example.org or Ann <ann@example.org>, without quotes before the @", clip(text))
	}
	if len(parsed.Name) > nameLimit || hasControl(parsed.Name) { // it may have been hidden in an encoded word
		return address{}, invalid("the name in the address %s is too long, or has a line break or control character in it", clip(text))
	}
	at := strings.LastIndexByte(parsed.Address, '@')
	local, domain := parsed.Address[:at], parsed.Address[at+1:]
	if len(local) > localLimit || !isDotAtom(local) || strings.Contains(local, "=?") { // what some would decode (RFC 2047, section 5 forbids it there)
		return address{}, invalid("the part before the @ of %s is too long, or has a character that no mailbox has", clip(text))
	}
	domain, err = idna.Lookup.ToASCII(domain)
	if err != nil || !isHost(domain) {
		return address{}, invalid("the part after the @ of %s is no domain", clip(text))
	}
	return address{parsed.Name, local, domain}, nil
}

// isDotAtom reports whether text is words of letters, digits and some marks, with dots between them. Letters of other scripts do.
func isDotAtom(text string) bool {
	for word := range strings.SplitSeq(text, ".") {
		if word == "" {
			return false
		}
		for _, r := range word {
			switch {
			case r >= utf8.RuneSelf && unicode.IsGraphic(r) && !unicode.IsSpace(r):
			case r < utf8.RuneSelf && (isAlphanumeric(byte(r)) || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)):
			default:
				return false
			}
		}
	}
	return true
}

func isHost(domain string) bool {
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > labelLimit {
			return false
		}
	}
	return len(domain) <= domainLimit && isASCII(domain)
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func isASCII(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// hasControl reports whether text has a line break or another control character, or is not UTF-8.
func hasControl(text string) bool {
	return strings.ContainsFunc(text, unicode.IsControl) || !utf8.ValidString(text)
}
