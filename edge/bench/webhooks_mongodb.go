//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A mongoSet is a replica set of one mongod, on the core of servers.
type mongoSet struct {
	uri   string
	child *child
	hold  *os.File // it ends when this is closed
}

// mongoVariable has the tests of this package be who serves a replica set, and says which file it reads to its end before it stops.
const mongoVariable = "BENCH_MONGODB"

// startMongoDB has the helper of tests start a mongod, which it fetches if need be. Only tests may use it, so that it is a test of this package that is run.
func (b *bench) startMongoDB(ctx context.Context) (*mongoSet, error) {
	fmt.Fprintln(b.log, "starting a mongod")
	binary := filepath.Join(b.folder, "bench.test")
	build := program{args: []string{"go", "test", "-c", "-o", binary, "./edge/bench"}, folder: b.root, cores: &b.cores.all}
	if _, err := output(ctx, 10*time.Minute, build); err != nil {
		return nil, err
	}
	lines, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	read, hold, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, out.Close(), lines.Close())
	}
	m := &mongoSet{hold: hold}
	m.child, err = start(ctx, program{
		args: []string{binary, "-test.run", "^TestServesAReplicaSetForBench$", "-test.v", "-test.timeout", "6h"}, folder: b.folder, cores: &b.cores.server, out: out, in: read,
		env: []string{mongoVariable + "=1", "TMPDIR=" + b.folder},
	})
	err = errors.Join(err, out.Close(), read.Close())
	if err != nil {
		return nil, errors.Join(err, hold.Close(), lines.Close())
	}
	var said tail
	for in := bufio.NewScanner(lines); in.Scan(); {
		fmt.Fprintln(&said, in.Text())
		if uri, ok := strings.CutPrefix(in.Text(), "uri "); ok {
			m.uri = uri
			go func() { // until the child ends
				defer lines.Close()
				_, _ = io.Copy(io.Discard, lines)
			}()
			return m, nil
		}
	}
	m.stop()
	lines.Close()
	return nil, fmt.Errorf("no mongod: %s", lastLines(said.String()))
}

// stop ends the mongod and waits for that.
func (m *mongoSet) stop() {
	m.hold.Close()
	select {
	case <-m.child.done:
	case <-time.After(30 * time.Second):
	}
	m.child.stop()
}
