package rules

import (
	"regexp"
	"strings"
	"testing"
)

func TestPathPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes, no string // paths, separated by spaces
	}{
		{"/exact", "/exact", "/exact/ /Exact /exactly /"},
		{"/prefix/*", "/prefix/ /prefix/a /prefix/a/b", "/prefix /prefixes /Prefix/a /a/prefix/"},
		{"/img/*.png", "/img/.png /img/a.png /img/a/b.png /img/a.png.png", "/img/a.PNG /img/a.png/ /a/img/b.png"},
		{"*.php", "/a.php /a/b.php", "/a.php5"},
		{"/a?c", "/abc /a/c /a%c", "/ac /abbc"},
		{"/users/{id}", "/users/1 /users/a%2Fb", "/users/ /users/1/ /users/1/posts /users"},
		{"/users/{id}/posts/{post-id}", "/users/1/posts/2", "/users//posts/2 /users/1/posts/ /users/1/2/posts/3"},
		{"*/{id}/edit", "/a/edit /x/a/edit", "/edit //edit"},
		{"/*/b/*/c", "/a/b/x/c //b//c /a/b/b/c/c", "/a/b/c /b/x/c /a/b/x/cc"},
		{"*", "/ /a/b", ""},
		{"/café/*", "/caf%C3%A9/x", "/cafe/x"},
		{"/%63af%c3%a9", "/caf%C3%A9", "/%63af%c3%a9"},
		{"/.well-known/*", "/.well-known/acme", "/well-known/acme"},
	} {
		g, err := pathGlob(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		for _, path := range strings.Fields(c.yes) {
			if !g.matchPath(path) {
				t.Errorf("%s does not match %s", c.pattern, path)
			}
		}
		for _, path := range strings.Fields(c.no) {
			if g.matchPath(path) {
				t.Errorf("%s matches %s", c.pattern, path)
			}
		}
	}
}

func TestBadPathPatterns(t *testing.T) {
	for _, pattern := range []string{"", "a", "{id}", "/{id", "/{}", "/{a b}", "/x{id}", "/{id}x", "/{id}*", "/{rest+}", "/a/../b", "/./a", "/%", "/%zz", "/a%00", `/a\b`, "/#a", "/a b",
		"/" + strings.Repeat("a", maxPattern)} {
		if _, err := pathGlob(pattern); err == nil {
			t.Errorf("%q was taken", pattern)
		}
	}
}

func TestValuePatternsIgnoreCaseAndKnowEscapes(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		want           bool
	}{
		{"*Chrome*", "mozilla chrome/1", true},
		{"BETA", "beta", true},
		{"beta", "BETA", true},
		{"v?", "V1", true},
		{"v?", "v", false},
		{`a\*b`, "a*b", true},
		{`a\*b`, "axb", false},
		{`\?`, "?", true},
		{`\\`, `\`, true},
		{"{id}", "{ID}", true},
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
	} {
		g, err := valueGlob(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := matchGlob(g, c.value); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.value, got)
		}
	}
	if _, err := valueGlob(`a\`); err == nil {
		t.Error("a backslash at the end was taken")
	}
}

// asRegexp is the pattern in another language.
func asRegexp(g *glob) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	if g.fold {
		b.WriteString(`(?i)`)
	}
	for _, t := range g.tokens() {
		switch t {
		case anyRun:
			b.WriteString(`.*`)
		case anyByte:
			b.WriteString(`.`)
		case anySegment:
			b.WriteString(`[^/]+`)
		default:
			b.WriteString(regexp.QuoteMeta(string(rune(t))))
		}
	}
	return regexp.MustCompile(b.String() + `\z`)
}

func ascii(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 }) }

// FuzzGlob compares matching with regexp, and covers with matching.
func FuzzGlob(f *testing.F) {
	f.Add("/a/*/c?/{id}", "/a/b/cc/1", "/a/*")
	f.Add("*/{id}/*/x", "/1/2/3/x", "*/x")
	f.Add("*a*ab*", "aaab", "?*")
	f.Add("/*?*b", "/aab", "/*")
	f.Add("/{a}/{b}", "/1/2", "/{a}/x")
	f.Fuzz(func(t *testing.T, pattern, text, other string) {
		if !ascii(pattern + text + other) {
			return // regexp works on runes
		}
		for _, fold := range []bool{false, true} {
			g, err := compileGlob(pattern, fold, !fold)
			if err != nil {
				continue
			}
			want := asRegexp(g).MatchString(text)
			if got := matchGlob(g, text); got != want {
				t.Errorf("%q on %q: %v, regexp says %v", pattern, text, got, want)
			}
			if got := matchGlob(g, []byte(text)); got != want {
				t.Errorf("%q on bytes of %q: %v", pattern, text, got)
			}
			if got := g.matchPath(text); !fold && got != want {
				t.Errorf("%q on path %q: %v, regexp says %v", pattern, text, got, want)
			}
			o, err := compileGlob(other, fold, !fold)
			if err == nil && g.covers(o) && matchGlob(o, text) && !want {
				t.Errorf("%q is said to cover %q, but does not match %q", pattern, other, text)
			}
		}
	})
}

func FuzzPathGlob(f *testing.F) {
	f.Add("/a/{id}/*")
	f.Add("/%7e/caf\xc3\xa9?")
	f.Fuzz(func(t *testing.T, pattern string) {
		g, err := pathGlob(pattern)
		if err == nil && strings.HasPrefix(pattern, "/") && !matchGlob(g, g.sample()) {
			t.Errorf("%q does not match its own sample %q", pattern, g.sample())
		}
	})
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"/*", "/a/*", true},
		{"/a/*", "/*", false},
		{"/a/{id}", "/a/b", true},
		{"/a/{id}", "/a/{x}", true},
		{"/a/{id}", "/a/?", false}, // "?" may be a slash
		{"/a/?", "/a/b", true},
		{"/a/?", "/a/{id}", false},
		{"*", "/{id}/x?", true},
		{"/a*c", "/abc*", false},
		{"/a*c", "/ab*c", true},
	} {
		a, _ := pathGlob(c.a)
		b, _ := pathGlob(c.b)
		if got := a.covers(b); got != c.want {
			t.Errorf("%s covers %s: %v", c.a, c.b, got)
		}
	}
}

// A pattern made to be slow costs no more than the text times its longest piece.
func BenchmarkGlobWorstCase(b *testing.B) {
	g, err := pathGlob("/" + strings.Repeat("*a", 60) + "*b")
	if err != nil {
		b.Fatal(err)
	}
	path := "/" + strings.Repeat("a", 16<<10)
	b.ReportAllocs()
	for b.Loop() {
		if g.matchPath(path) {
			b.Fatal("matches")
		}
	}
}
