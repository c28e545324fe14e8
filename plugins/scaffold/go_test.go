package scaffold

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/modfile"
)

var update = flag.Bool("update", false, "make go/*.mod and go/*.sum anew of this module's go.mod")

// inGo is a new plugin in Go.
func inGo(t *testing.T) (folder string) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "hello")
	if _, err := New(folder, "hello", Go); err != nil {
		t.Fatal(err)
	}
	return folder
}

// goTool runs the go command in a folder, as an author does who has set nothing.
func goTool(t *testing.T, folder string, args ...string) (output string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = folder, append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local"), time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestAPluginInGoBuildsAndPassesItsTest(t *testing.T) {
	t.Parallel()
	if *update {
		makeAnew(t)
	}
	folder := inGo(t)
	if out, err := goTool(t, folder, "mod", "download"); err != nil {
		if strings.Contains(out, "dial tcp") || strings.Contains(out, "lookup ") {
			t.Skipf("SKIPPED: no modules to build a plugin with: %v\n%s", err, out)
		}
		t.Fatalf("%v\n%s", err, out)
	}
	for _, args := range [][]string{{"test", "-count=1", "./..."}, {"build", "-o", "hello", "."}} {
		if out, err := goTool(t, folder, args...); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(folder, "hello")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "plugin of edge") {
		t.Errorf("started by hand it says %s, %v", out, err)
	}
	running(t, filepath.Join(folder, "hello"), "go ").countsOnce(t)
	if err := os.WriteFile(filepath.Join(folder, "main.go"), []byte(inGuide(t, "go")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := goTool(t, folder, "build", "-o", "guide", "."); err != nil {
		t.Errorf("the guide's plugin: %v\n%s", err, out)
	}
	if out, err := goTool(t, folder, "mod", "tidy", "-diff"); err != nil {
		t.Errorf("go.mod and go.sum are not what the SDK needs, run this test with -update: %v\n%s", err, out)
	}
}

// inGuide is the program in a language that plugins/README.md shows.
func inGuide(t *testing.T, lang string) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```"+lang+"\n")
	program, _, closed := strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatalf("it shows no program in %s", lang)
	}
	return program
}

// makeAnew writes the files that pin what a plugin in Go stands on: this module's versions, as far as the SDK needs them.
func makeAnew(t *testing.T) {
	t.Helper()
	folder := inGo(t)
	sdk := filepath.Join(folder, sdkFolder)
	copyFile(t, "../../go.mod", filepath.Join(sdk, "go.mod"))
	copyFile(t, "../../go.sum", filepath.Join(sdk, "go.sum"))
	for _, args := range [][]string{{"mod", "edit", "-droptool=github.com/letsencrypt/pebble/v2/cmd/pebble", "-droptool=github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv"}, {"mod", "tidy"}} {
		if out, err := goTool(t, sdk, args...); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	copyFile(t, filepath.Join(sdk, "go.mod"), "go/edge.mod")
	if out, err := goTool(t, folder, "mod", "edit", "-require=github.com/onehost/edge@v0.0.0", "-replace=github.com/onehost/edge=./"+sdkFolder); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := goTool(t, folder, "mod", "tidy"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	made, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("go/plugin.mod", bytes.ReplaceAll(made, []byte("plugins/hello"), []byte("plugins/"+placeholder)), 0o600); err != nil {
		t.Fatal(err)
	}
	copyFile(t, filepath.Join(folder, "go.sum"), "go/plugin.sum")
	t.Skip("go/*.mod and go/*.sum are made anew: run the test again without -update")
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAPluginInGoStandsOnTheVersionsThatTheSDKIsTestedWith(t *testing.T) {
	ours := versions(t, "../../go.mod")
	for _, file := range []string{"go/plugin.mod", "go/edge.mod"} {
		theirs := versions(t, file)
		for _, direct := range []string{"github.com/hashicorp/go-plugin", "google.golang.org/grpc", "google.golang.org/protobuf"} {
			if theirs[direct] == "" || ours[direct] == "" {
				t.Errorf("%s pins %q of %s, and go.mod %q", file, theirs[direct], direct, ours[direct])
			}
		}
		for module, version := range theirs {
			if known := ours[module]; known != "" && known != version { // tests of what the SDK stands on need others, which no plugin has in it
				t.Errorf("%s has %s %s, and go.mod %q: run this test with -update", file, module, version, known)
			}
		}
	}
}

func versions(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := modfile.ParseLax(file, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{"go": parsed.Go.Version}
	for _, r := range parsed.Require {
		found[r.Mod.Path] = r.Mod.Version
	}
	return found
}
