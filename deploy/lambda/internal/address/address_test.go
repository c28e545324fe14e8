package address

import (
	"net/mail"
	"strings"
	"testing"
)

func TestAddressesThatShareAMailboxAreKnown(t *testing.T) {
	for typed, want := range map[string]string{
		" Ann.B+news@Example.ORG ":   "ann.b@example.org",
		"a.n.n@gmail.com":            "ann@gmail.com",
		"A.nn+x+y@GoogleMail.com":    "ann@gmail.com",
		"+tag@example.org":           "+tag@example.org",
		"ann@bücher.example":         "ann@xn--bcher-kva.example",
		"o'neil/a=b@sub.example.org": "o'neil/a=b@sub.example.org",
	} {
		if a, err := Parse(typed); err != nil || a.Mailbox() != want {
			t.Errorf("%q is %q, %v", typed, a.Mailbox(), err)
		}
	}
	a, _ := Parse("Ann+News@Example.org")
	if a.String() != "Ann+News@example.org" || a.ID() != "ann+news@example.org" || a.Domain() != "example.org" {
		t.Error(a.String(), a.ID(), a.Domain())
	}
}

func TestWhatMailCanNotBeSentToIsRefused(t *testing.T) {
	for _, typed := range []string{
		"", "@", "a@", "@b.example", "a@b", "a@b.", "a@.b", "a..b@c.example", ".a@c.example", "a@b.example\n", "a\r\nb@c.example", "a@b@c.example", `"a"@b.example`,
		"a b@c.example", "a@-b.example", "a@b-.example", "a@1.2.3.4", "a@[1.2.3.4]", "é@b.example", "a@b.example,c@d.example", "a@b_c.example", strings.Repeat("a", 65) + "@b.example", "a@" + strings.Repeat("b.", 130) + "example",
	} {
		if a, err := Parse(typed); err == nil {
			t.Errorf("%q is taken as %q", typed, a)
		}
	}
}

func FuzzWhatIsTakenIsOneAddressOfOneLine(f *testing.F) {
	for _, typed := range []string{"ann@example.org", "a+b@gmail.com", "a@bücher.example", "a\r\nb@c.example", "+@gmail.com", ".@b.example"} {
		f.Add(typed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		a, err := Parse(typed)
		if err != nil {
			return
		}
		if strings.ContainsFunc(a.String(), func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`<>()[],;:"\`, r) }) {
			t.Errorf("%q is %q", typed, a)
		}
		if _, err := mail.ParseAddress(a.String()); err != nil {
			t.Errorf("%q is %q: %v", typed, a, err)
		}
		again, err := Parse(a.String())
		if err != nil || again != a || strings.HasPrefix(a.Mailbox(), "@") {
			t.Errorf("%q, %q: %v", a, again, err)
		}
	})
}
