//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// allocations finds the benchmark of a request's whole way, or of its way to the target.
var allocations = regexp.MustCompile(`(?m)^BenchmarkForward(?:/\S*)?(?:-\d+)?\s.*?(\d{1,9}) allocs/op`)

// measureAllocs asks the benchmark of the h1 way for its allocations. Of several it takes the worst.
func (b *bench) measureAllocs(ctx context.Context) error {
	fmt.Fprintln(b.log, "allocations of the h1 way")
	for _, folder := range []string{"./edge", "./edge/internal/proxy"} {
		text, err := output(ctx, 10*time.Minute, b.goTest("-bench", "^BenchmarkForward$", folder))
		if err != nil {
			return err
		}
		if worst, ok := parseAllocations(text); ok {
			b.samples = append(b.samples, sample{Row: allocsRow, Server: "edge", Value: float64(worst)})
			return nil
		}
	}
	return errors.New("there is no BenchmarkForward that tells its allocations")
}

func parseAllocations(text string) (worst int, ok bool) {
	for _, m := range allocations.FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(m[1])
		worst, ok = max(worst, n), ok || err == nil
	}
	return worst, ok
}

// goBenchmarks runs all benchmarks of the repository and passes on what they say.
func (b *bench) goBenchmarks(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	p := b.goTest("-bench", ".", "./edge/...", "./core/...")
	p.out = b.out
	c, err := start(ctx, p)
	if err != nil {
		return err
	}
	defer c.stop()
	<-c.done
	if err := errors.Join(ctx.Err(), c.err); err != nil {
		return fmt.Errorf("the Go benchmarks: %w", err)
	}
	return nil
}

// goTest runs no tests, and may use all cores.
func (b *bench) goTest(args ...string) program {
	return program{args: append([]string{"go", "test", "-run", "^$", "-benchmem", "-timeout", "15m"}, args...), folder: b.root, cores: &b.cores.all}
}
