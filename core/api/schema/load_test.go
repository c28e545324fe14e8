package schema

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var write = flag.Bool("write", false, "write the golden files anew")

// wantSet compares a set with what is in a golden file.
func wantSet(t *testing.T, s *Set, golden string) {
	t.Helper()
	var got bytes.Buffer
	if err := json.Indent(&got, Encode(s), "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	if *write {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the set is not that of %s:\n%s", golden, got.Bytes())
	}
}

func load(t *testing.T, folder string) *Set {
	t.Helper()
	s, problems := Load(folder, []string{"en", "fr"})
	if s == nil || len(problems) > 0 {
		t.Fatal(problems)
	}
	return s
}

func TestFoldersAreReadAsTheGoldenFilesSay(t *testing.T) {
	for _, folder := range []string{"recorded", "project", "flat"} {
		t.Run(folder, func(t *testing.T) {
			wantSet(t, load(t, filepath.Join("testdata", folder)), filepath.Join("testdata", folder+".golden"))
		})
	}
}

func TestAProjectMayBeNamedByItsSrc(t *testing.T) {
	if a, b := load(t, "testdata/project"), load(t, "testdata/project/src"); !bytes.Equal(Encode(a), Encode(b)) {
		t.Errorf("%s\n%s", Encode(a), Encode(b))
	}
}

func TestWhatIsEncodedIsDecoded(t *testing.T) {
	for _, folder := range []string{"recorded", "project", "flat"} {
		text := Encode(load(t, filepath.Join("testdata", folder)))
		again, err := Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(Encode(again), text) {
			t.Errorf("%s:\n%s\nbecomes\n%s", folder, text, Encode(again))
		}
	}
}

func TestTargetsAreTheTypesThemselves(t *testing.T) {
	s := load(t, "testdata/project")
	post := s.Type("post")
	if post.Attribute("author").Target != s.Type("author") || post.Attribute("cover").Target != s.UID(FileUID) || s.Type("user").Attribute("role").Target != s.UID(RoleUID) {
		t.Error("a target is another type")
	}
	if post.Attribute("seo").Component != s.Component("shared.seo") || post.Attribute("sections").Zone[0] != s.Component("sections.hero") {
		t.Error("a component is another one")
	}
}

// folderOf writes the files that a text has, each below a line "# file: NAME", into a folder.
func folderOf(t testing.TB, text string) string {
	t.Helper()
	folder := t.TempDir()
	for i, part := range strings.Split(text, "# file: ") {
		name, content, _ := strings.Cut(part, "\n")
		if i == 0 {
			continue
		}
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// Each file of testdata/bad has files and, in lines "# want: …", the problems that they have.
func TestBadFilesHaveTheProblemsThatTheySay(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			folder := folderOf(t, string(text))
			s, problems := Load(folder, []string{"en"})
			var got, want strings.Builder
			failed := false
			for _, p := range problems {
				failed = failed || !p.Warning
				got.WriteString(strings.TrimPrefix(strings.ReplaceAll(p.Error(), folder, ""), "/") + "\n")
			}
			for _, m := range regexp.MustCompile(`(?m)^# want: (.*)$`).FindAllStringSubmatch(string(text), -1) {
				want.WriteString(m[1] + "\n")
			}
			if got.String() != want.String() {
				t.Errorf("problems:\n%swant:\n%s", got.String(), want.String())
			}
			if failed != (s == nil) {
				t.Errorf("the set is %v with problems %v", s, problems)
			}
		})
	}
}
