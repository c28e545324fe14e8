package lambda

import (
	"bytes"
	"context"
	_ "embed" // the list of packages
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/pypitest"
)

//go:embed testdata/requirements.txt
var requirements []byte

func lint(t *testing.T, templates ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 110*time.Second)
	defer cancel()
	python, err := pypitest.Python(ctx, "cfn-lint", requirements)
	if err != nil {
		pypitest.Missing(t, "cfn-lint", err)
	}
	out, err := exec.CommandContext(ctx, filepath.Join(filepath.Dir(python), "cfn-lint"),
		append([]string{"--non-zero-exit-code", "informational", "--include-checks", "I", "--regions", "eu-west-1", "--"}, templates...)...).CombinedOutput()
	return string(out), err
}

func templates(t *testing.T) map[string][]byte {
	all := make(map[string][]byte)
	for _, name := range []string{"subscribe", "contact", "tweet"} {
		file := filepath.Join(name, "template.yaml")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[file] = text
	}
	return all
}

func TestCfnLintPassesTheTemplates(t *testing.T) {
	if out, err := lint(t, slices.Collect(maps.Keys(templates(t)))...); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestCfnLintFindsWhatIsWrong(t *testing.T) {
	for _, change := range [][2]string{{"provided.al2023", "provided.al2099"}, {"GetAtt Role.Arn", "GetAtt Rule.Arn"}} {
		broken := filepath.Join(t.TempDir(), "template.yaml")
		text := bytes.Replace(templates(t)["subscribe/template.yaml"], []byte(change[0]), []byte(change[1]), 1)
		if err := os.WriteFile(broken, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := lint(t, broken); err == nil {
			t.Errorf("%s passes: %s", change[1], out)
		}
	}
}

func TestNoPolicyHasAWildcardBeyondTheFunctionsOwnLogStreamsAndVersions(t *testing.T) {
	for file, text := range templates(t) {
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			if !strings.Contains(line, "*") || strings.HasPrefix(line, "Description:") || strings.HasSuffix(line, "/aws/lambda/${FunctionName}:log-stream:*\"") || line == "- !Sub ${Function.Arn}:*" {
				continue
			}
			t.Errorf("%s has a wildcard: %s", file, line)
		}
	}
}

// Every variable that the README names is one that a function reads, and the other way round.
func TestTheReadmeNamesTheVariables(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	inReadme, inSource := map[string]bool{}, map[string]bool{}
	for _, match := range regexp.MustCompile("(?m)^\\| `([A-Z0-9_]+)`").FindAllSubmatch(readme, -1) {
		inReadme[string(match[1])] = true
	}
	for _, pattern := range []string{"*/main.go", "internal/*/*.go"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range regexp.MustCompile(`\bs\.(?:Text|Need|Key|Count|On|Base)\("([A-Z0-9_]+)"`).FindAllSubmatch(source, -1) {
				inSource[string(match[1])] = true
			}
		}
	}
	if len(inSource) < 15 {
		t.Fatalf("only %d variables were found: does the test look at the right files?", len(inSource))
	}
	for name := range inSource {
		if !inReadme[name] {
			t.Errorf("README.md does not name %s", name)
		}
	}
	for name := range inReadme {
		if !inSource[name] {
			t.Errorf("README.md names %s, which nothing reads", name)
		}
	}
}
