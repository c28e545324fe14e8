//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// idleConnections is how many are opened to see what one costs.
const idleConnections = 2000

// settling is how long a server gets to give back what it needed to start, or to answer.
const settling = time.Second

// measureMemory looks at servers that are freshly started, one at a time.
func (b *bench) measureMemory(ctx context.Context) {
	wanted := func(name string) bool { return slices.ContainsFunc(b.rows, func(r row) bool { return r.name == name }) }
	if wanted(startRow) {
		b.failed(b.measureSample(ctx))
	}
	for _, p := range b.products {
		if p.path == "" || !wanted(idleRow) && (!wanted(startRow) || p.name == "edge") {
			continue
		}
		fmt.Fprintf(b.log, "memory of %s\n", p.name)
		fresh, full, err := b.memoryOfServer(ctx, p, wanted(idleRow))
		if err != nil {
			b.failed(fmt.Errorf("memory of %s: %w", p.name, err))
			continue
		}
		if wanted(startRow) && p.name != "edge" {
			b.samples = append(b.samples, sample{Row: startRow, Server: p.name, Value: fresh.rss / 1024})
		}
		if wanted(idleRow) {
			b.samples = append(b.samples, sample{Row: idleRow, Server: p.name, Value: (full.pss - fresh.pss) / idleConnections})
		}
	}
}

// memoryOfServer is what p holds after its start, and, if it is to be filled, with all idle connections.
func (b *bench) memoryOfServer(ctx context.Context, p *product, fill bool) (fresh, full memory, err error) {
	s, err := b.startServer(ctx, p, false)
	if err != nil {
		return fresh, full, err
	}
	defer s.child.stop()
	if fresh, err = settled(ctx, s); err != nil || !fill {
		return fresh, full, err
	}
	terms, err := trusting(filepath.Join(b.folder, "cert.pem"))
	if err != nil {
		return fresh, full, err
	}
	held, err := hold(ctx, idleConnections, fmt.Sprintf("127.0.0.1:%d", s.port), terms)
	if err != nil {
		return fresh, full, err
	}
	defer closeAll(held)
	full, err = settled(ctx, s)
	return fresh, full, err
}

func settled(ctx context.Context, s *server) (memory, error) {
	if err := sleep(ctx, settling); err != nil {
		return memory{}, err
	}
	return memoryOf(s.child.pid())
}

// measureSample is edge's memory when it serves the sample as `make run` does, on other ports.
func (b *bench) measureSample(ctx context.Context) error {
	fmt.Fprintln(b.log, "memory of edge with the sample")
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	folder := filepath.Join(b.folder, "sample", "deploy", "sample") // as deep as it is, for the web app two above
	data := filepath.Join(folder, "data")
	if err := errors.Join(os.MkdirAll(data, 0o755), copySample(b.root, folder, ports)); err != nil {
		return err
	}
	app, err := start(ctx, program{args: []string{filepath.Join(b.root, "bin", "sample-app"), "-socket", filepath.Join(data, "app.sock")}, out: b.log})
	if err != nil {
		return fmt.Errorf("the sample's app: %w: run `make build` first", err)
	}
	defer app.stop()
	s := &server{product: b.products[0], port: ports[0]}
	run := program{args: []string{b.edge, "run", "-c", "edge.yaml"}, folder: folder}
	if err := b.launch(ctx, s, run, filepath.Join(data, "ca", "root.crt")); err != nil {
		return err
	}
	defer s.child.stop()
	now, err := settled(ctx, s)
	if err != nil {
		return err
	}
	b.samples = append(b.samples, sample{Row: startRow, Server: "edge", Value: now.rss / 1024})
	return nil
}

// copySample copies the sample and its web app, bound to ports of 127.0.0.1.
func copySample(root, folder string, ports []int) error {
	text, err := os.ReadFile(filepath.Join(root, "deploy", "sample", "edge.yaml"))
	if err != nil {
		return err
	}
	config := string(text)
	for i, address := range []string{`":8443"`, `":8080"`, `127.0.0.1:9180`} {
		if !strings.Contains(config, address) {
			return fmt.Errorf("the sample's edge.yaml does not listen on %s any more", address)
		}
		config = strings.ReplaceAll(config, address, fmt.Sprintf("127.0.0.1:%d", ports[i]))
	}
	return errors.Join(
		os.WriteFile(filepath.Join(folder, "edge.yaml"), []byte(config), 0o600), //nolint:gosec // below a temporary folder of ours
		os.CopyFS(filepath.Join(folder, "..", "..", "web", "app", "dist"), os.DirFS(filepath.Join(root, "web", "app", "dist"))),
	)
}
