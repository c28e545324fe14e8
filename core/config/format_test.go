package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFormat(t *testing.T) {
	long := strings.Repeat("a", 200)
	for _, tt := range []struct {
		name, text string
		line, col  int
		want       string
	}{
		{"first column", "hots: {}\n", 1, 1, "hots: {}\n^\n"},
		{"tab before", "\thots: {}\n", 1, 2, "\thots: {}\n\t^\n"},
		{"two bytes a letter", "é: ü, b\n", 1, 9, "é: ü, b\n      ^\n"},
		{"wide letters", "日本: x\n", 1, 9, "日本: x\n      ^\n"},
		{"combining accent", "e\u0301: x\n", 1, 6, "e\u0301: x\n   ^\n"},
		{"after the end", "a:\n", 1, 3, "a:\n  ^\n"},
		{"far after the end", "a:\n", 1, 30, "a:\n  ^\n"},
		{"carriage return", "a: b\r\nc: d\r\n", 2, 4, "c: d\n   ^\n"},
		{"byte order mark", "\ufeffa: b\n", 1, 4, "a: b\n   ^\n"},
		{"no such line", "a: b\n", 7, 1, ""},
		{"terminal's escape", "a: \x1b[31m\n", 1, 4, "a: \ufffd[31m\n   ^\n"},
		{"long line, at its end", long + ": x\n", 1, 203, "…" + strings.Repeat("a", 78) + ": x\n" + strings.Repeat(" ", 81) + "^\n"},
		{"long line, at its start", long + "\n", 1, 1, strings.Repeat("a", 120) + "…\n^\n"},
		{"${…} as it is written", "a: ${SECRET}\n", 1, 4, "a: ${SECRET}\n   ^\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "edge.yaml")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			if err := Format(&got, []Problem{{File: file, Line: tt.line, Col: tt.col, Message: "no", Warning: true}}); err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("%s:%d:%d: warning: no\n%s", file, tt.line, tt.col, tt.want); got.String() != want {
				t.Errorf("got\n%swant\n%s", got.String(), want)
			}
		})
	}
}

func TestFormatWithoutFile(t *testing.T) {
	var got strings.Builder
	problems := []Problem{{Message: "a"}, {File: "gone.yaml", Message: "b"}, {File: "gone.yaml", Line: 2, Col: 1, Message: "c"}}
	if err := Format(&got, problems); err != nil {
		t.Fatal(err)
	}
	if want := "a\ngone.yaml: b\ngone.yaml:2:1: c\n"; got.String() != want {
		t.Errorf("got %q", got.String())
	}
}

func TestFormatIsBounded(t *testing.T) {
	var got strings.Builder
	if err := Format(&got, make([]Problem, 1000)); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(got.String(), "\n"); len(lines) != 52 || lines[50] != "and 950 more" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-2])
	}
}

func TestALineWithASecretIsNotShown(t *testing.T) {
	_, problems, _ := load(t, `
hosts:
  a.example:
    tls: {issuers: [{directory: "https://ca/dir", eab: {kid: a, hmac: hunter2}}, {directory: "https://cb/dir", eab: {kid: a, hmac: "hunter2!"}}]}
    default: {respond: {}, auth: {basic: {bob: hunter2}}}
`, Env{})
	var got strings.Builder
	if err := Format(&got, problems); err != nil {
		t.Fatal(err)
	}
	if len(problems) != 3 || strings.Contains(got.String(), "hunter2") {
		t.Errorf("%d problems:\n%s", len(problems), got.String())
	}
}
