package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
)

// What the starter's comments tell the sysadmin of a server to change is enough for certificates from Let's Encrypt.
func TestTheStarterLeadsToARealCertificate(t *testing.T) {
	yaml := string(starterConfig)
	for _, change := range []struct{ from, to string }{
		{`":8080"`, `":80"`},
		{`":8443"`, `":443"`},
		{"  issuers: [local]", "  # issuers: [local]"},
		{"  # email:", "  email:"},
		{"localhost", "example.com"},
	} {
		if !strings.Contains(yaml, change.from) {
			t.Fatalf("%q is not in the starter any more", change.from)
		}
		yaml = strings.ReplaceAll(yaml, change.from, change.to)
	}
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "site"), 0o755); err != nil {
		t.Fatal(err)
	}
	cfg, problems := config.Load(writeIn(t, folder, "edge.yaml", strings.Replace(yaml, "you@example.com", myAddress, 1)), config.Env{})
	if len(problems) > 0 {
		t.Fatalf("%v", problems)
	}
	for name, host := range cfg.Hosts {
		if issuers := cfg.IssuersOf(host); len(issuers) != 1 || issuers[0].Name != config.LetsEncrypt {
			t.Errorf("%s: %v", name, issuers)
		}
	}
}

// myAddress is what a reader puts in the place of the samples' address, which public CAs refuse as a contact.
const myAddress = "me@somewhere.net"

var fenced = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// Each configuration that the README shows is whole, and one that edge takes.
func TestReadmeConfigurationsAreValid(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := fenced.FindAllStringSubmatch(string(readme), -1)
	if len(shown) == 0 {
		t.Fatal("the README shows no configuration")
	}
	for _, block := range shown {
		folder := t.TempDir()
		for _, name := range []string{"root.pem", "partners.pem", "dist", "smtp_url", "turnstile", "github", "stripe", "stripe_old", "slack", "own"} {
			writeIn(t, folder, name, "something")
		}
		text := strings.ReplaceAll(block[1], "you@example.com", myAddress)
		if _, problems := config.Load(writeIn(t, folder, "edge.yaml", text), config.Env{Credentials: folder}); len(problems) > 0 {
			t.Errorf("%v in\n%s", problems, block[1])
		}
	}
}

func writeIn(t *testing.T, folder, name, text string) string {
	t.Helper()
	file := filepath.Join(folder, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
