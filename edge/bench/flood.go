//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A flood runs in a process of its own, by this program's word "flood", under SCHED_IDLE: it shares its core with those whose
// latency is looked at, and gets what they leave of it, at once and always. So what they notice of the flood is what it
// does to the server.
const floodWord = "flood"

// A flooding is what a flood did. Offered is what it should have done, whether or not the server took it.
type flooding struct {
	Offered  int     `json:"offered"`
	Taken    int     `json:"taken"`         // requests sent, or connections opened
	Accepted int     `json:"accepted"`      // answered as they wished: 2xx or 3xx, a ServerHello
	Refused  int     `json:"refused"`       // 429 or 503, or closed without a word
	Silent   int     `json:"silent"`        // not answered in time
	Other    int     `json:"other"`         // any other answer
	Lines    int     `json:"connections"`   // opened
	Failed   int     `json:"failed"`        // connections that could not be opened
	Seconds  float64 `json:"seconds"`       //
	CPU      float64 `json:"cpu_seconds"`   // of the flood's own process
	Why      string  `json:"why,omitempty"` // of the first failure
}

// floodArgs are what a flood is told: "handshakes" or "forms", the port, the rate a second, seconds, and the folder with the certificate.
type floodArgs struct {
	kind       string
	port, rate int
	should     time.Duration
	folder     string
}

func (a floodArgs) strings() []string {
	return []string{floodWord, a.kind, strconv.Itoa(a.port), strconv.Itoa(a.rate), a.should.String(), a.folder}
}

func parseFlood(args []string) (a floodArgs, err error) {
	const count = 6
	if len(args) != count {
		return a, fmt.Errorf("%s KIND PORT RATE TIME FOLDER, for bench's own use", floodWord)
	}
	var errs [3]error
	a.kind, a.folder = args[1], args[5]
	a.port, errs[0] = strconv.Atoi(args[2])
	a.rate, errs[1] = strconv.Atoi(args[3])
	a.should, errs[2] = time.ParseDuration(args[4])
	return a, errors.Join(errs[:]...)
}

// flood is the other process.
func flood(ctx context.Context, args []string) error {
	a, err := parseFlood(args)
	if err != nil {
		return err
	}
	if err := allowFiles(); err != nil {
		return err
	}
	if err := becomeIdle(); err != nil {
		return err
	}
	began := time.Now()
	var did flooding
	switch a.kind {
	case "handshakes":
		did, err = floodHandshakes(ctx, a)
	case "forms":
		did, err = floodForms(ctx, a)
	default:
		err = fmt.Errorf("there is no flood of %q", a.kind)
	}
	if err != nil {
		return err
	}
	did.Seconds = time.Since(began).Seconds()
	var used unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &used) == nil {
		did.CPU = time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
	}
	return json.NewEncoder(os.Stdout).Encode(did)
}

// becomeIdle gives this process what nobody else wants of its core. Threads that start later inherit it.
func becomeIdle() error {
	const schedIdle = 5
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetAttr(id, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: schedIdle}, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("SCHED_IDLE: %w", err)
		}
	}
	return nil
}

// floodNetworks is how many networks a flood comes from: 127.1.0.0/24 and so on, each of which is one client to who counts by /24.
const floodNetworks = 16

// floodSource is the address of the i-th of a flood's connections.
func floodSource(i int) [4]byte {
	return [4]byte{127, 1, byte(i % floodNetworks), byte(1 + i/floodNetworks%64)}
}
