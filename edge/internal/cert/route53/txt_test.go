package route53

import (
	"strings"
	"testing"
)

func TestTextsAreQuotedAsRoute53WantsThem(t *testing.T) {
	for text, want := range map[string]string{
		"gfj9Xq-Rg85nM":          `"gfj9Xq-Rg85nM"`,
		"":                       `""`,
		`say "hi" \ there`:       `"say \"hi\" \\ there"`,
		"exämple\n":              `"ex\303\244mple\012"`,
		strings.Repeat("a", 256): `"` + strings.Repeat("a", 255) + `" "a"`,
	} {
		got := quote(text)
		if got != want {
			t.Errorf("%q is quoted %s, want %s", text, got, want)
		}
		if back, ok := unquote(got); !ok || back != text {
			t.Errorf("%s is read as %q, %v", got, back, ok)
		}
	}
}

func TestValuesOfOthersAreReadOrLeftAlone(t *testing.T) {
	for value, want := range map[string]string{`"a"  "b"`: "ab", `"a""b"`: "ab", `"\052"`: "*", `"\9"`: "9", ` "a" `: "a"} {
		if got, ok := unquote(value); !ok || got != want {
			t.Errorf("%s is read as %q, %v, want %q", value, got, ok, want)
		}
	}
	for _, value := range []string{"", "a", `"a`, `"a" b`, `"a\`, `"`} {
		if got, ok := unquote(value); ok {
			t.Errorf("%s is read as %q", value, got)
		}
	}
	if got := plainName(`\052.Example.COM`); got != "*.example.com." {
		t.Errorf(`\052.Example.COM is read as %s`, got)
	}
}

func FuzzTXT(f *testing.F) {
	for _, seed := range []string{`"a" "b"`, `"\052\"`, `plain`, "\x00\xff", strings.Repeat("x", 600)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		unquote(s)
		plainName(s)
		if back, ok := unquote(quote(s)); !ok || back != s {
			t.Errorf("%q comes back as %q, %v", s, back, ok)
		}
	})
}
