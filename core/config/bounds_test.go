package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestLoadIsBounded gives Load what is small to write and would be large or slow to take apart.
func TestLoadIsBounded(t *testing.T) {
	manyKeys := func(format string) string {
		var b strings.Builder
		for i := 0; b.Len() < 60<<10; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for _, tt := range []struct{ name, text, want string }{
		{"large file", strings.Repeat("# nothing\n", maxFile/10+1), "larger than 1024 KiB"},
		{"deep lists", strings.Repeat("[", 11_000), "depth"},
		{"deep mappings", "a: " + strings.Repeat("{a: ", 9_000) + strings.Repeat("}", 9_000), "32 deep"},
		{"list of itself", "sites: {a: &a [*a, *a, *a]}", "32 deep"},
		{"aliases of aliases on one line", "a: {ü: &a [" + strings.Repeat("1, ", 10_000) + "], b: [" + strings.Repeat("*a, ", 10_000) + "]}", "100000 keys"},
		{"aliases behind a long text", "a: ['" + strings.Repeat("ü", 200_000) + "', &a [x], " + strings.Repeat("*a, ", 20_000) + "]", "unknown key"},
		{"many values on one line", "sites: {" + manyKeys("ü%d: 1, ") + "}", "key of sites"},
		{"many unknown keys", manyKeys("k%d: 1\n"), "unknown key"},
		{"many duplicates", strings.Repeat("log: {}\n", 20_000), "given twice"},
		{"many dollars", "log: {access: '" + strings.Repeat("${", 100_000) + "'}", "${"},
		{"many anchors", "sites: [" + manyKeys("&a%d 1, ") + "]", "should be a mapping"},
		{"long key", strings.Repeat("k", 300<<10) + ": 1", "unknown key"},
		{"long comment", "#" + strings.Repeat("é", 100<<10), "no hosts"},
		{"block of tabs", "a: |\n " + strings.Repeat("\t\n ", 60_000), "unknown key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, problems, _ := load(t, tt.text, Env{})
			if len(problems) == 0 || !strings.Contains(problems[0].Message, tt.want) {
				t.Errorf("%.300v, want %q", problems, tt.want)
			}
			for _, p := range problems {
				if len(p.Message) > 2000 {
					t.Fatalf("a message of %d bytes", len(p.Message))
				}
			}
		})
	}
}

func TestIncludesAreBounded(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range maxNesting + 2 {
		write(fmt.Sprintf("nested%d.yaml", i), fmt.Sprintf("include: nested%d.yaml\n", i+1))
	}
	for i := range maxIncludes + 5 {
		write(fmt.Sprintf("many%03d.yaml", i), "")
	}
	write("main.yaml", "include: many*.yaml\n")
	for file, want := range map[string]string{"nested0.yaml": "more than 8 deep", "main.yaml": "more than 256 files"} {
		c, problems := Load(filepath.Join(dir, file), Env{})
		if c != nil || len(problems) != 1 || !strings.Contains(problems[0].Message, want) {
			t.Errorf("%s: %v, want %q", file, problems, want)
		}
	}
}

func TestProblemsBetweenSettingsAreBounded(t *testing.T) {
	text := "hosts:\n  a.com:\n    tls: off\n    default: {respond: {}}\n    rules:\n"
	for i := range maxProblems + 5 {
		text += fmt.Sprintf("      - {path: /%d, site: none}\n", i)
	}
	file := filepath.Join(t.TempDir(), "edge.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, problems := Load(file, Env{}); len(problems) != maxProblems {
		t.Errorf("%d problems, want %d", len(problems), maxProblems)
	}
}

func TestUnreadableFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.yaml")
	for name, want := range map[string]Problem{
		missing:     {File: missing, Message: "no such file or directory"},
		"testdata":  {File: "testdata", Message: "it is not a regular file"},
		"/dev/zero": {File: "/dev/zero", Message: "it is not a regular file"},
	} {
		c, problems := Load(name, Env{})
		if c != nil || len(problems) != 1 || problems[0] != want {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

// FuzzLoad: never a panic, each problem at a place that exists, and what is good is good again.
func FuzzLoad(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if !strings.Contains(file, "bomb") { // slow, and TestFiles has it
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if strings.Contains(string(text), "include") || strings.Contains(string(text), "${file:") {
			return // what other files say is no business of this test
		}
		file := filepath.Join(t.TempDir(), "edge.yaml")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, problems := Load(file, Env{})
		lines := strings.Split(strings.TrimPrefix(string(text), "\ufeff"), "\n")
		for _, p := range problems {
			switch {
			case p.File != file || p.Message == "":
				t.Fatalf("%+v is of no file or says nothing", p)
			case p.Line == 0:
			case p.Line > len(lines) || p.Col < 1 || p.Col > len(lines[p.Line-1])+1:
				t.Fatalf("%v is outside of the file", p)
			}
		}
		if again, problemsAgain := Load(file, Env{}); !reflect.DeepEqual(c, again) || !reflect.DeepEqual(problems, problemsAgain) {
			t.Fatalf("loaded again it is\n%+v %v, not\n%+v %v", again, problemsAgain, c, problems)
		}
	})
}
