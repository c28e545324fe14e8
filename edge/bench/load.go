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
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An outcome is what a load tool says of what it did.
type outcome struct {
	requests int           // answered as they should be
	errors   int           // others
	took     time.Duration // as the tool saw it
	p50, p99 time.Duration // 0 where latency is not looked at
}

// A load puts a server on port under load until it is through.
type load func(ctx context.Context, port int) (outcome, error)

// loads are the load tools. They run where this process does, on the core of the load.
type loads struct{ folder string }

// wrk keeps 64 HTTP/1.1 connections busy.
func (l loads) wrk(path string, secs int) load {
	return func(ctx context.Context, port int) (outcome, error) {
		text, err := l.run(ctx, time.Duration(secs)*time.Second, "wrk", "-t1", "-c64", fmt.Sprintf("-d%ds", secs), address(port, path))
		if err != nil {
			return outcome{}, err
		}
		return parseWrk(text)
	}
}

// h2load does what args say.
func (l loads) h2load(path string, args ...string) load {
	return func(ctx context.Context, port int) (outcome, error) {
		all := append([]string{"h2load", "-t1"}, append(args, address(port, path))...)
		text, err := l.run(ctx, time.Minute, all...)
		if err != nil {
			return outcome{}, err
		}
		return parseH2load(text)
	}
}

// rate asks for 2,000 requests a second over 20 connections. Latency is of what was asked after the first half second, in which the connections are made.
func (l loads) rate(secs int, args ...string) load {
	const clients, each, opening = 20, 100, 500 * time.Millisecond
	return func(ctx context.Context, port int) (outcome, error) {
		log := filepath.Join(l.folder, "latency.log")
		defer os.Remove(log)
		requests := clients * each * (secs*2 + 1) / 2
		args := append([]string{fmt.Sprintf("-c%d", clients), fmt.Sprintf("--rps=%d", each), fmt.Sprintf("-n%d", requests), "--log-file=" + log}, args...)
		o, err := l.h2load("/", args...)(ctx, port)
		if err != nil {
			return o, err
		}
		file, err := os.Open(log)
		if err != nil {
			return o, err
		}
		defer file.Close()
		o.p50, o.p99, err = parseLatencies(file, opening)
		return o, err
	}
}

// handshakes makes one full handshake and one request after the other.
func (l loads) handshakes(secs int) load {
	return func(ctx context.Context, port int) (outcome, error) {
		terms, err := trusting(filepath.Join(l.folder, "cert.pem"))
		if err != nil {
			return outcome{}, err
		}
		return handshakes(ctx, fmt.Sprintf("127.0.0.1:%d", port), terms, time.Duration(secs)*time.Second), ctx.Err()
	}
}

// run gives a tool half a minute more than it should take.
func (l loads) run(ctx context.Context, should time.Duration, args ...string) (string, error) {
	return output(ctx, should+30*time.Second, program{args: args, folder: l.folder})
}

func address(port int, path string) string {
	return fmt.Sprintf("https://%s:%d%s", hosts[0], port, path)
}

var (
	wrkTotal    = regexp.MustCompile(`(?m)^\s*(\d{1,12}) requests in (\d{1,6}(?:\.\d{1,6})?)(us|ms|s|m|h),`)
	wrkStatus   = regexp.MustCompile(`(?m)^\s*Non-2xx or 3xx responses: (\d{1,12})$`)
	wrkSockets  = regexp.MustCompile(`(?m)^\s*Socket errors: connect (\d{1,12}), read (\d{1,12}), write (\d{1,12}), timeout (\d{1,12})$`)
	h2loadTook  = regexp.MustCompile(`(?m)^finished in (\d{1,6}(?:\.\d{1,6})?)(us|ms|s|m|h),`)
	h2loadTotal = regexp.MustCompile(`(?m)^requests: (\d{1,12}) total,`)
	h2loadGood  = regexp.MustCompile(`(?m)^status codes: (\d{1,12}) 2xx,`)
)

// parseWrk reads what wrk prints at its end.
func parseWrk(text string) (outcome, error) {
	m := wrkTotal.FindStringSubmatch(text)
	if m == nil {
		return outcome{}, errors.New("wrk did not say how many requests it made: " + lastLines(text))
	}
	took, err := time.ParseDuration(m[2] + m[3])
	o := outcome{requests: number(m[1]), took: took}
	if bad := wrkStatus.FindStringSubmatch(text); bad != nil {
		o.errors += number(bad[1])
		o.requests -= number(bad[1])
	}
	for _, n := range wrkSockets.FindStringSubmatch(text) {
		o.errors += number(n) // the whole match, which comes first, is none
	}
	return o, err
}

// parseH2load reads what h2load prints at its end.
func parseH2load(text string) (outcome, error) {
	took, total, good := h2loadTook.FindStringSubmatch(text), h2loadTotal.FindStringSubmatch(text), h2loadGood.FindStringSubmatch(text)
	if took == nil || total == nil || good == nil {
		return outcome{}, errors.New("h2load did not say how many requests it made: " + lastLines(text))
	}
	d, err := time.ParseDuration(took[1] + took[2])
	o := outcome{requests: number(good[1]), took: d}
	o.errors = max(number(total[1])-o.requests, 0)
	return o, err
}

// number is the number in text, 0 if it is none.
func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// parseLatencies reads h2load's log: when a request began, its status, and how long it took, with times in microseconds.
// It leaves out what began in the time of opening.
func parseLatencies(log io.Reader, opening time.Duration) (p50, p99 time.Duration, err error) {
	const most = 5_000_000
	type line struct{ began, took int64 }
	var lines []line
	first := int64(0)
	scanner := bufio.NewScanner(log)
	for scanner.Scan() && len(lines) < most {
		columns := strings.Split(scanner.Text(), "\t")
		if len(columns) < 3 {
			return 0, 0, fmt.Errorf("h2load's log has a line %q", scanner.Text())
		}
		began, err1 := strconv.ParseInt(columns[0], 10, 64)
		took, err2 := strconv.ParseInt(columns[2], 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return 0, 0, fmt.Errorf("h2load's log: %w", err)
		}
		if first == 0 || began < first {
			first = began
		}
		lines = append(lines, line{began, took})
	}
	if err := scanner.Err(); err != nil {
		return 0, 0, fmt.Errorf("h2load's log: %w", err)
	}
	var times []int64
	for _, l := range lines {
		if l.began-first >= opening.Microseconds() {
			times = append(times, l.took)
		}
	}
	if len(times) == 0 {
		return 0, 0, errors.New("h2load's log has no request after the connections were made")
	}
	slices.Sort(times)
	at := func(share float64) time.Duration {
		return time.Duration(times[int(float64(len(times)-1)*share)]) * time.Microsecond
	}
	return at(0.50), at(0.99), nil
}
