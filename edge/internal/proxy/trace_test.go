package proxy

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestTraceField(t *testing.T) {
	const (
		root  = "Root=1-67891233-abcdef012345678912345678"
		fresh = `1-68000000-[0-9a-f]{24}`
	)
	now := time.Unix(0x68000000, 0)
	for _, tt := range []struct{ name, came, want string }{
		{"none", "", "Root=" + fresh},
		{"a root", root, "Self=" + fresh + ";" + root},
		{"a root and a custom field", root + ";CalledFrom=app", "Self=" + fresh + ";" + root + ";CalledFrom=app"},
		{"an older self", "Self=1-67891234-12456789abcdef012345678a;" + root, "Self=" + fresh + ";" + root},
		{"in capitals, with spaces", "ROOT=1-67891233-ABCDEF012345678912345678; a=b", "Self=" + fresh + ";ROOT=1-67891233-ABCDEF012345678912345678;a=b"},
		{"no root", "CalledFrom=app", "Root=" + fresh + ";CalledFrom=app"},
		{"another version", "Root=2-67891233-abcdef012345678912345678;a=b", "Root=" + fresh + ";a=b"},
		{"no hexadecimal", "Root=1-67891233-abcdef01234567891234567g", "Root=" + fresh},
		{"too short", "Root=1-67891233-abc", "Root=" + fresh},
		{"two roots", root + ";Root=1-00000000-000000000000000000000000", "Self=" + fresh + ";" + root},
		{"junk", ";;=;", "Root=" + fresh + ";="},
	} {
		if got := string(appendTrace(nil, tt.came, false, now)); !regexp.MustCompile("^" + tt.want + "$").MatchString(got) {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
	if got := string(appendTrace(nil, root+";a=b", true, now)); got != root {
		t.Errorf("large: %q", got)
	}
	if got := string(appendTrace(nil, "a=b", true, now)); !regexp.MustCompile("^Root=" + fresh + "$").MatchString(got) {
		t.Errorf("large without a root: %q", got)
	}
}

func TestIsHex(t *testing.T) {
	for c := range 256 {
		want := strings.ContainsRune("0123456789abcdefABCDEF", rune(c))
		if isHex(string([]byte{byte(c)})) != want {
			t.Errorf("%q", rune(c))
		}
	}
}

func FuzzTraceField(f *testing.F) {
	f.Add("Self=1-67891234-12456789abcdef012345678;Root=1-67891233-abcdef012345678912345678;CalledFrom=app", false)
	f.Fuzz(func(t *testing.T, came string, large bool) {
		got := string(appendTrace(nil, came, large, time.Unix(1, 0)))
		root, _ := traceParts(got)
		if root == "" {
			t.Errorf("%q has no valid root", got)
		}
		if was, _ := traceParts(came); was != "" && was != root {
			t.Errorf("root %q became %q", was, root)
		}
		if len(got) > len(came)+82 || large && got != root {
			t.Errorf("%q grew to %q", came, got)
		}
	})
}
