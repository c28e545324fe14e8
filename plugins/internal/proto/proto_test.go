package proto

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestTheGeneratedCodeIsOfThisProtocol(t *testing.T) {
	noted, err := os.ReadFile("plugin.sha256")
	if err != nil {
		t.Fatal(err)
	}
	files := strings.Split(strings.TrimSpace(string(noted)), "\n")
	if len(files) != 4 {
		t.Fatalf("plugin.sha256 notes %d files: run go generate ./plugins/internal/proto", len(files))
	}
	for _, line := range files {
		hash, name, _ := strings.Cut(line, "  ")
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprintf("%x", sha256.Sum256(data)) != hash {
			t.Errorf("%s is not what it was when the code was generated: run go generate ./plugins/internal/proto", name)
		}
	}
}
