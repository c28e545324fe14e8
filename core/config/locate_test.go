package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
)

func TestLocateNeedsNoSecrets(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) string {
		file := filepath.Join(dir, "edge.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	rest := "\nhosts: {a.example.com: {default: {respond: {body: \"${SECRET}\"}}, no: such}}\n"
	tests := []struct {
		name, text string
		dataDir    string
		admin      string
		problem    string
	}{
		{"defaults", rest, dir + "/data", "unix:" + dir + "/data/admin.sock", ""},
		{"data_dir", "data_dir: ./x" + rest, dir + "/x", "unix:" + dir + "/x/admin.sock", ""},
		{"admin", "listen: {admin: \"unix:/run/e.sock\"}" + rest, dir + "/data", "unix:/run/e.sock", ""},
		{"admin from a secret", "listen: {admin: \"${SOCKET}\"}" + rest, "", "", "SOCKET"},
		{"not YAML", "listen: [", "", "", "edge.yaml:1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := config.Locate(write(test.text), config.Env{})
			if test.problem != "" {
				if err == nil || !strings.Contains(err.Error(), test.problem) {
					t.Errorf("got %+v, %v; want an error with %q", got, err, test.problem)
				}
				return
			}
			if err != nil || got.DataDir != test.dataDir || got.Admin != test.admin {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	if _, err := config.Locate(filepath.Join(dir, "none.yaml"), config.Env{}); err == nil {
		t.Error("no error for a file that does not exist")
	}
}
