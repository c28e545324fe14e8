package scaffold

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
)

func TestWhatIsMadeIsSaid(t *testing.T) {
	for lang, want := range map[string][]string{
		Go:     {"go.mod", "go.sum", "main.go", "main_test.go", "testdata/event.json", "edge/go.mod", "edge/plugins/sdk/sdk.go", "edge/plugins/sdk/sdktest/sdktest.go", "edge/plugins/internal/proto/plugin.pb.go"},
		Python: {"main.py", "edge_plugin.py", "edge_testing.py", "plugin_pb2.py", "requirements.txt", "run", "test_main.py", "testdata/event.json"},
	} {
		folder := filepath.Join(t.TempDir(), "a", "b")
		created, err := New(folder, "hello", lang)
		if err != nil {
			t.Fatal(err)
		}
		var there []string
		err = filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				rel, _ := filepath.Rel(folder, name)
				there = append(there, rel)
			}
			return err
		})
		slices.Sort(there)
		slices.Sort(created)
		if err != nil || !slices.Equal(there, created) {
			t.Errorf("%s: it says %v, and there is %v, %v", lang, created, there, err)
		}
		for _, file := range want {
			if !slices.Contains(created, file) {
				t.Errorf("%s: there is no %s", lang, file)
			}
		}
		for _, file := range created {
			if strings.HasSuffix(file, "_test.go") && file != "main_test.go" {
				t.Errorf("%s: the SDK's own %s", lang, file)
			}
		}
	}
}

func TestANameIsOneThatAConfigurationTakes(t *testing.T) {
	for _, name := range []string{"", "-a", ".a", "a/b", "../a", "a b", "ä", strings.Repeat("a", 64), "a\n"} {
		folder := filepath.Join(t.TempDir(), "p")
		if _, err := New(folder, name, Go); fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := os.Stat(folder); err == nil {
			t.Errorf("%q: something was made", name)
		}
	}
	for _, name := range []string{"a", "A.b_c-9", strings.Repeat("a", 63)} {
		if _, err := New(filepath.Join(t.TempDir(), "p"), name, Go); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := New(t.TempDir(), "a", "cobol"); fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), "any language that has gRPC") {
		t.Error(err)
	}
}

func TestAnEmptyFolderIsFilledAndAnotherIsLeftAlone(t *testing.T) {
	folder := t.TempDir()
	if _, err := New(folder, "hello", Python); err != nil {
		t.Fatal(err)
	}
	main := filepath.Join(folder, "main.py")
	if err := os.WriteFile(main, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(folder, "hello", Python); fault.CodeOf(err) != fault.Conflict {
		t.Error(err)
	}
	if text, err := os.ReadFile(main); err != nil || string(text) != "mine" {
		t.Errorf("it is %q, %v", text, err)
	}
	if info, err := os.Stat(filepath.Join(folder, "run")); err != nil || info.Mode().Perm()&0o100 == 0 {
		t.Errorf("run can't be run: %v, %v", info, err)
	}
}

func TestAfterAnErrorNothingIsLeft(t *testing.T) {
	root := t.TempDir()
	folder := filepath.Join(root, "a", "b")
	_, err := write(folder, map[string][]byte{"a": nil, "d/e": nil, "d/e/f": nil}) // a file can't be a folder
	if err == nil {
		t.Fatal("it was written")
	}
	if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
		t.Errorf("there is %v, %v", left, err)
	}
	if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(filepath.Join(root, "file"), "hello", Go); err == nil {
		t.Error("a plugin was made in a file")
	}
}

func TestWhatToDoNextIsAConfigurationThatIsTaken(t *testing.T) {
	for _, lang := range []string{Go, Python} {
		next := Next("/srv/hello", "hello", lang)
		_, text, _ := strings.Cut(next, "(edge reload):\n")
		file := filepath.Join(t.TempDir(), "edge.yaml")
		if err := os.WriteFile(file, []byte("tls: {issuers: [local]}\n"+strings.ReplaceAll(text, "\n  ", "\n")), 0o600); err != nil {
			t.Fatal(err)
		}

		c, problems := config.Load(file, config.Env{LookupEnv: func(string) (string, bool) { return "0123456789abcdef0123456789abcdef", true }})
		if config.Failed(problems) || c.Webhooks["github"].Plugin != "hello" || !strings.HasPrefix(c.Plugins["hello"].Command, "/srv/hello/") {
			t.Errorf("%s: %v in %s", lang, problems, text)
		}
	}
}
