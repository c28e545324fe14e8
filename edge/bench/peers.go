//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"
)

// caddyVersion is the Caddy that targets are about.
const caddyVersion = "v2.11.9"

// A product is a server as it is configured here: ours, or a peer.
type product struct {
	name    string // its column
	path    string // the program; "" if it is missing
	file    string // name of its configuration
	config  string // template of that, for a place
	run     func(path, file string) []string
	version []string // arguments
	static  bool     // whether it serves files
}

// A place is what one server needs to know.
type place struct {
	Folder   string // its own
	Port     int    // HTTPS
	Metrics  int    // port
	Upstream int    // port
	Log      string // file of the access log; "": off
	Shared   string // folder of certificate and files
	Hosts    []string
	Root     bool // whether this runs as root
}

// products are all servers, edge first. A peer that is not at hand or not asked for has no path.
func products(edge string) []*product {
	return []*product{
		{name: "edge", path: edge, file: "edge.yaml", config: edgeConfig, static: true, version: []string{"version"},
			run: func(path, file string) []string { return []string{path, "run", "-c", file} }},
		{name: "nginx", file: "nginx.conf", config: nginxConfig, static: true, version: []string{"-v"},
			run: func(path, file string) []string {
				return []string{path, "-e", "error.log", "-p", filepath.Dir(file), "-c", file}
			}},
		{name: "haproxy", file: "haproxy.cfg", config: haproxyConfig, version: []string{"-v"},
			run: func(path, file string) []string { return []string{path, "-db", "-f", file} }},
		{name: "caddy", file: "Caddyfile", config: caddyConfig, static: true, version: []string{"version"},
			run: func(path, file string) []string {
				return []string{path, "run", "--config", file, "--adapter", "caddyfile"}
			}},
	}
}

// findPeers looks for the programs of the peers that are asked for. One that is missing is a failure, and no reason to stop.
func (b *bench) findPeers(ctx context.Context) {
	b.products = products(b.edge)
	for _, p := range b.products {
		if !slices.Contains(b.peers, p.name) {
			continue
		}
		var err error
		switch p.name {
		case "nginx":
			if p.path, err = exec.LookPath("nginx"); err != nil {
				err = errors.New("nginx is missing: apt-get install nginx-light")
			}
		case "haproxy":
			if p.path, err = exec.LookPath("haproxy"); err != nil {
				err = errors.New("haproxy is missing: apt-get install haproxy")
			}
		case "caddy":
			if p.path, err = b.findCaddy(ctx); err != nil {
				err = fmt.Errorf("caddy is missing: %w: name one with -caddy", err)
			}
		}
		b.failed(err)
	}
}

// findCaddy is the Caddy of -caddy, or the pinned version, which is built once.
func (b *bench) findCaddy(ctx context.Context) (string, error) {
	if b.caddy != "" {
		return exec.LookPath(b.caddy)
	}
	folder := filepath.Join(b.root, "bin", "caddy-"+caddyVersion)
	path := filepath.Join(folder, "caddy")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	fmt.Fprintln(b.log, "building Caddy", caddyVersion, "into", folder, "(minutes, once)")
	_, err := output(ctx, 15*time.Minute, program{
		args:   []string{"go", "install", "github.com/caddyserver/caddy/v2/cmd/caddy@" + caddyVersion},
		folder: b.root, env: []string{"GOBIN=" + folder}, cores: &b.cores.all,
	})
	return path, err
}

// versionOf is what the program calls itself.
func (b *bench) versionOf(ctx context.Context, p *product) string {
	if p.name == "caddy" && b.caddy == "" {
		return p.name + ": " + caddyVersion // which it does not know of itself
	}
	text, err := output(ctx, 10*time.Second, program{args: append([]string{p.path}, p.version...)})
	if err != nil {
		return p.name + ": " + err.Error()
	}
	line, _, _ := strings.Cut(text, "\n")
	return p.name + ": " + line
}

// configure writes the product's configuration and returns how to run it.
func (p *product) configure(at place) ([]string, error) {
	t, err := template.New(p.file).Parse(p.config)
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	if err := t.Execute(&text, at); err != nil {
		return nil, err
	}
	file := filepath.Join(at.Folder, p.file)
	return p.run(p.path, file), os.WriteFile(file, []byte(text.String()), 0o600)
}
