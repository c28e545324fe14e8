// Package address judges e-mail addresses that strangers type, and says which of them share a mailbox. In comes what is about
// addresses as text; whether there is such a mailbox, only mail can tell.
package address

import (
	"errors"
	"strings"

	"golang.org/x/net/idna"
)

// An Address is one that mail can be sent to as it stands: ASCII, without quotes, spaces or line ends, of a domain of the DNS.
type Address struct {
	local  string
	domain string // lower case, ASCII
}

var errAddress = errors.New("this is not an e-mail address that mail can be sent to")

// Parse reads what somebody typed. The rules are narrower than RFC 5321's: no quoted local parts, address literals, hosts without a dot or
// local parts beyond ASCII, which hardly anybody has, and many servers do not take. A domain beyond ASCII becomes its ASCII form.
func Parse(typed string) (Address, error) {
	typed = strings.Trim(typed, " \t")
	if len(typed) > 320 {
		return Address{}, errAddress
	}
	local, domain, ok := strings.Cut(typed, "@")
	if !ok || !isDotAtom(local) || len(local) > 64 || strings.Contains(local, "=?") { // what mail programs would decode (RFC 2047), and no mailer takes
		return Address{}, errAddress
	}
	domain, err := idna.Lookup.ToASCII(domain)
	domain = strings.ToLower(domain)
	// ToASCII encodes some of what it does not take once it is encoded, such as bytes that are no UTF-8.
	if again, errAgain := idna.Lookup.ToASCII(domain); err != nil || errAgain != nil || again != domain || !isDomain(domain) || len(local)+1+len(domain) > 254 {
		return Address{}, errAddress
	}
	return Address{local, domain}, nil
}

// String is the address as mail is sent to it. The local part's case is as it was typed: RFC 5321 §2.4 leaves its meaning to the domain.
func (a Address) String() string { return a.local + "@" + a.domain }

// Domain is what follows the @.
func (a Address) Domain() string { return a.domain }

// ID tells subscribers apart. Case makes no difference, which no provider of today makes either; tags do: who subscribes as me+news@…
// and as me@… wants both.
func (a Address) ID() string { return strings.ToLower(a.local) + "@" + a.domain }

// Mailbox is one text for all addresses that are likely to end in one mailbox, for limits of what a person gets: without case, without what
// follows a plus sign (subaddressing, RFC 5233), and at Gmail, which ignores them, without dots. Two people who are taken for one by
// it share a limit, and nothing else.
func (a Address) Mailbox() string {
	local, _, _ := strings.Cut(strings.ToLower(a.local), "+")
	domain := a.domain
	if domain == "googlemail.com" {
		domain = "gmail.com"
	}
	if domain == "gmail.com" {
		local = strings.ReplaceAll(local, ".", "")
	}
	if local == "" { // +tag@example.com
		local = strings.ToLower(a.local)
	}
	return local + "@" + domain
}

// isDotAtom reports whether s is RFC 5322's dot-atom-text.
func isDotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for _, c := range []byte(atom) {
			if !isLetterOrDigit(c) && strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) < 0 {
				return false
			}
		}
	}
	return true
}

// isDomain reports whether s is a name of two labels or more, the last of which is no number.
func isDomain(s string) bool {
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !isLetterOrDigit(c) && c != '-' {
				return false
			}
		}
	}
	return len(labels) > 1 && len(s) <= 253 && strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

func isLetterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
