package lambda

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // the list of packages
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed testdata/requirements.txt
var requirements []byte

// linter returns cfn-lint. It is installed by pip once for each list of packages, into the user's cache folder; who comes meanwhile waits.
func linter(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "onehost-edge", fmt.Sprintf("cfn-lint-%x", sha256.Sum256(requirements))[:len("cfn-lint-")+16])
	program, complete := filepath.Join(folder, "bin", "cfn-lint"), filepath.Join(folder, "complete")
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(folder+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close() // which ends the lock, too
	for unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return "", fmt.Errorf("waiting for who installs cfn-lint: %w", ctx.Err())
		}
	}
	if _, err := os.Stat(complete); err == nil {
		return program, nil
	}
	if err := os.RemoveAll(folder); err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"python3", "-m", "venv", folder},
		{filepath.Join(folder, "bin", "python"), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--only-binary", ":all:", "--require-hashes", "--requirement", "testdata/requirements.txt"},
	} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("installing cfn-lint (python3 with venv and pip is needed): %v: %w\n%s", args, err, out)
		}
	}
	return program, os.WriteFile(complete, nil, 0o600)
}

func lint(t *testing.T, template string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 110*time.Second)
	defer cancel()
	program, err := linter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(ctx, program, "--non-zero-exit-code", "informational", "--include-checks", "I", "--regions", "eu-west-1", "--", template).CombinedOutput()
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
	for file := range templates(t) {
		if out, err := lint(t, file); err != nil {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
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
