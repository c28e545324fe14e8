package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/store/enginetest"
)

// TestTheOfficialClientWorks runs @strapi/client, as it comes from npm.
func TestTheOfficialClientWorks(t *testing.T) {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("NOT TESTED against @strapi/client: %v", err)
		}
	}
	folder := installed(t)
	for name, address := range engines.Addresses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, enginetest.Opened(t, address(t)))
			server := httptest.NewServer(w.api)
			defer server.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			client := exec.CommandContext(ctx, "node", "client.mjs", server.URL+"/api", w.tokens["full"])
			client.Dir = folder
			said, err := client.CombinedOutput()
			if n := strings.Count(string(said), "\nok ") + 1; err != nil || n != 10 {
				t.Errorf("%d parts work: %v\n%s", n, err, said)
			}
		})
	}
}

// installed is a folder with the client, which is fetched once for all runs of the tests.
func installed(t *testing.T) string {
	files := map[string][]byte{}
	sum := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json", "client.mjs"} {
		text, err := os.ReadFile(filepath.Join("testdata/client", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = text
		sum.Write(text)
	}
	folder := filepath.Join(os.TempDir(), fmt.Sprintf("edge-strapi-client-%x", sum.Sum(nil)[:8]))
	if _, err := os.Stat(filepath.Join(folder, "node_modules")); err == nil {
		return folder
	}
	fresh := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(fresh, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = fresh
	if said, err := npm.CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED against @strapi/client: npm ci: %v\n%s", err, bytes.TrimSpace(said))
	}
	if err := os.Rename(fresh, folder); err != nil && !os.IsExist(err) {
		return fresh // another process was quicker, or it lies on another disk
	}
	return folder
}
