package mail

import (
	"net/mail"
	"net/textproto"
	"strings"
	"testing"

	"github.com/onehost/edge/core/fault"
	"golang.org/x/net/idna"
)

func canonical(name string) string { return textproto.CanonicalMIMEHeaderKey(name) }

// sameAddress compares what a mail program reads with what was given, as net/mail reads it.
func sameAddress(t testing.TB, got *mail.Address, given string) {
	t.Helper()
	want, err := mail.ParseAddress(given)
	if err != nil {
		t.Fatalf("%q was taken: %v", given, err)
	}
	at := strings.LastIndexByte(want.Address, '@')
	domain, err := idna.Lookup.ToASCII(want.Address[at+1:])
	if err != nil {
		t.Fatal(err)
	}
	if want.Address = want.Address[:at+1] + domain; *got != *want {
		t.Errorf("%q became %+v", given, got)
	}
}

func TestAddressesThatPeopleHaveAreTaken(t *testing.T) {
	for given, want := range map[string]string{
		"ann@example.org":                      "ann@example.org",
		"ann.o'neill+x=y@mail.example.org":     "ann.o'neill+x=y@mail.example.org",
		"Ann <ann@example.org>":                `"Ann" <ann@example.org>`,
		`"Doe, \"Ann\"" <ann@example.org>`:     `"Doe, \"Ann\"" <ann@example.org>`,
		"ann@MÜLLER.example":                   "ann@xn--mller-kva.example",
		"用户@例え.テスト":                            "用户@xn--r8jz45g.xn--zckzah",
		"root@localhost":                       "root@localhost",
		"Zoë <zoe@example.org>":                "=?utf-8?q?Zo=C3=AB?= <zoe@example.org>",
		"=?utf-8?q?Zo=C3=AB?= <z@example.org>": "=?utf-8?q?Zo=C3=AB?= <z@example.org>",
	} {
		if a, err := parseAddress(given); err != nil || a.field() != want {
			t.Errorf("%s: %s, %v", given, a.field(), err)
		}
	}
}

func TestAddressesThatSomebodyCouldMisreadAreRefused(t *testing.T) {
	for _, given := range []string{
		"", "ann", "@example.org", "ann@", "ann@example.org, bo@example.org", "<ann@example.org>, bo@example.org", "g: ann@example.org;", "g: Ann <ann@example.org>;",
		`"a b"@example.org`, `"x@evil.example> ORCPT=y"@example.org`, `"ann"@example.org`, "ann@example.org (comment)", "ann (comment)@example.org", " ann@example.org", "ann@example.org ",
		"ann@example.org\r\nBcc: bo@example.org", "ann@example.org\n", "ann\x00@example.org", "ann@exam\tple.org", "Ann\r\nBcc: x <ann@example.org>", "ann\u0085@example.org", "ann@example.org\xff",
		"=?utf-8?q?a=0D=0ABcc:_x?= <ann@example.org>", "=?utf-8?q?a=00?= <ann@example.org>", "=?utf-8?q?=40evil.example=00?=@example.org", "a..b@example.org", ".a@example.org",
		"ann@[127.0.0.1]", "ann@exa_mple.org", "ann@-example.org", "ann@example..org", "ann@" + strings.Repeat("a", 64) + ".org", "ann@" + strings.Repeat("abcdefg.", 40) + "org",
		strings.Repeat("a", 65) + "@example.org", strings.Repeat("n", 300) + " <ann@example.org>", strings.Repeat("a", 2000) + "@example.org", "a\u2028b@example.org", "a\u200b@b@example.org",
	} {
		if a, err := parseAddress(given); fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%q: %+v, %v", given, a, err)
		}
	}
}
