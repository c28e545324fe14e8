package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkLoad loads 200 hosts of three rules each.
func BenchmarkLoad(b *testing.B) {
	var text strings.Builder
	text.WriteString("tls: {issuers: [local]}\nsites: {app: {root: app}}\ntarget_groups: {api: {targets: [\"http://127.0.0.1:1\"]}}\nhosts:\n")
	for i := range 200 {
		fmt.Fprintf(&text, `  h%d.example.com:
    aliases: [www.h%d.example.com]
    limits: {rate: 50/s, body: 10MiB}
    rules:
      - {path: /api/*, forward: api}
      - {path: [/a, /b], method: [GET, HEAD], redirect: {to: "/#{path}"}}
      - {path: /robots.txt, respond: {body: "User-agent: *"}}
    default: {site: app}
`, i, i)
	}
	file := filepath.Join(b.TempDir(), "edge.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if c, problems := Load(file, Env{}); c == nil {
			b.Fatal(problems)
		}
	}
}
