package action

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
)

func TestAProgramThatCanNotBeRunIsFoundBeforeItsJobIsDue(t *testing.T) {
	folder := t.TempDir()
	plain, runs := filepath.Join(folder, "plain"), filepath.Join(folder, "runs")
	for path, mode := range map[string]os.FileMode{plain: 0o600, runs: 0o700} {
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ command, want string }{
		{runs, ""},
		{"./runs", ""},
		{filepath.Join(folder, "none"), "none\" can't be read (no such file or directory): build it, or runs of j fail"},
		{"runs -v", "runs -v\" can't be read (no such file or directory)"},
		{folder, "is not a file"},
		{plain, "plain\" is not executable: chmod +x it"},
	} {
		file := filepath.Join(folder, "edge.yaml")
		text := "tls: {issuers: [local]}\nhosts: {a.test: {default: {respond: {}}}}\njobs: {j: {schedule: \"@daily\", command: \"" + test.command + "\"}}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, problems := config.Load(file, config.Env{}, Check)
		switch {
		case test.want == "" && len(problems) > 0:
			t.Errorf("%s: %v", test.command, problems)
		case test.want != "" && (len(problems) != 1 || !strings.Contains(problems[0].Error(), test.want) || !strings.Contains(problems[0].Error(), ":3:")):
			t.Errorf("%s: %v, want %s", test.command, problems, test.want)
		}
	}
}
