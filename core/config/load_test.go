package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// testEnv is what the files in testdata may take from around them.
func testEnv() Env {
	variables := map[string]string{"API_KEY": "k-123", "NAME": "hunter2.example", "SECRET": "hunter2"}
	return Env{
		LookupEnv:   func(name string) (string, bool) { v, ok := variables[name]; return v, ok },
		Credentials: filepath.Join("testdata", "creds"),
	}
}

// wanted reads the problems that a file says it has: lines such as "# want: 3:5: unknown key …".
func wanted(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, m := range regexp.MustCompile(`(?m)^# want: (.*)$`).FindAllStringSubmatch(string(text), -1) {
		want.WriteString(m[1] + "\n")
	}
	return want.String()
}

// found writes problems as wanted has them: those of the main file without its name.
func found(file string, problems []Problem) string {
	var got strings.Builder
	for _, p := range problems {
		line := strings.TrimPrefix(p.Error(), file+":")
		line = strings.ReplaceAll(line, "testdata"+string(filepath.Separator), "")
		got.WriteString(strings.ReplaceAll(line, mustAbs("."), "…") + "\n")
	}
	return got.String()
}

func mustAbs(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		panic(err)
	}
	return path
}

func TestFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c, problems := Load(file, testEnv())
			if got, want := found(file, problems), wanted(t, file); got != want {
				t.Errorf("problems:\n%swant:\n%s", got, want)
			}
			good := strings.HasSuffix(file, ".good.yaml")
			if good != (c != nil) || good == Failed(problems) {
				t.Errorf("Config is %v, and Failed is %v", c, Failed(problems))
			}
			for _, p := range problems {
				if strings.Contains(p.Message, "hunter2") {
					t.Errorf("a secret is shown: %s", p.Message)
				}
			}
		})
	}
}
