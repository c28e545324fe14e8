//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
)

// configured is the file of a product's configuration, in a folder beside what it needs.
func configured(t *testing.T, p *product, log string) string {
	t.Helper()
	shared, _ := material(t)
	at := place{Folder: t.TempDir(), Port: 20443, Metrics: 20444, Upstream: 20445, Log: log, Shared: shared, Hosts: hosts, Root: os.Geteuid() == 0}
	if _, err := p.configure(at); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(at.Folder, p.file)
}

func TestTheConfigurationOfEdgeIsGood(t *testing.T) {
	for _, log := range []string{"", "/tmp/access.log"} {
		cfg, problems := config.Load(configured(t, products("/edge")[0], log), config.Env{})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if len(cfg.Hosts) != len(hosts) || cfg.Listen.Metrics == "" || (cfg.Log.Access == log) != (log != "") {
			t.Errorf("%+v", cfg)
		}
	}
}

func TestPeersAcceptTheirConfigurations(t *testing.T) {
	for _, p := range products("/edge")[1:] {
		t.Run(p.name, func(t *testing.T) {
			program := p.name
			if p.name == "caddy" { // another version may not know all that this one does
				program = filepath.Join("..", "..", "bin", "caddy-"+caddyVersion, "caddy")
			}
			tools(t, program)
			for _, log := range []string{"", filepath.Join(t.TempDir(), "access.log")} {
				file := configured(t, p, log)
				args := map[string][]string{
					"nginx":   {"-t", "-e", "stderr", "-p", filepath.Dir(file), "-c", file},
					"haproxy": {"-c", "-f", file},
					"caddy":   {"validate", "--config", file, "--adapter", "caddyfile"},
				}[p.name]
				check := exec.Command(program, args...)
				check.Env = append(os.Environ(), "HOME="+filepath.Dir(file))
				if out, err := check.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			}
		})
	}
}

func TestTheSampleIsCopiedToPortsOfItsOwn(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "deploy", "sample")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := copySample("../..", folder, []int{20443, 20080, 20180}); err != nil {
		t.Fatal(err)
	}
	cfg, problems := config.Load(filepath.Join(folder, "edge.yaml"), config.Env{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	listening := strings.Join(append(append(cfg.Listen.HTTPS, cfg.Listen.HTTP...), cfg.Listen.Metrics), " ")
	if listening != "127.0.0.1:20443 127.0.0.1:20080 127.0.0.1:20180" {
		t.Error(listening)
	}
	if _, err := os.Stat(filepath.Join(cfg.Sites["app"].Root, "index.html")); err != nil {
		t.Error(err)
	}
}
