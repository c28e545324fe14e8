package jobs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store/enginetest"
)

// childOf is the variable that makes this test binary a host of its own, which runs jobs in the store that it names; endOf is when they end.
const (
	childOf = "EDGE_TEST_JOBS_STORE"
	endOf   = "EDGE_TEST_JOBS_END"
)

// spoken is a Pinger that says on stdout what has come of runs.
type spoken struct{}

func (spoken) Started(Run)                                {}
func (spoken) Succeeded(r Run, _ time.Duration, _ string) { os.Stdout.WriteString(r.ID + "\n") }
func (spoken) Failed(Run, error, string)                  {}

func processJobs(end time.Time) map[string]config.Job { return many(4, end) }

// asChild ends this process with its work, if it is to be another one.
func asChild() {
	address := os.Getenv(childOf)
	if address == "" {
		return
	}
	s, err := enginetest.Open(context.Background(), address)
	end, wrong := time.Parse(time.RFC3339, os.Getenv(endOf))
	if err = errors.Join(err, wrong); err == nil {
		j := New(Options{Store: s, Host: fmt.Sprint(os.Getpid()), Log: quiet, Pinger: spoken{}, Runner: takes(100 * time.Millisecond)})
		j.pace = brisk
		if err = j.Use(processJobs(end)); err == nil {
			err = j.Run(context.Background())
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func TestProcessesThatAreKilledOrStoppedLoseNothingAndRepeatNoSuccess(t *testing.T) {
	t.Parallel()
	for engine, address := range engines.Addresses() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			where := address(t)
			s := enginetest.Opened(t, where)
			end := time.Now().Add(20 * time.Second).Truncate(time.Second)
			ctx, stop := context.WithCancel(t.Context())
			var mu sync.Mutex
			said := make(map[string]int)
			var hosts sync.WaitGroup
			defer hosts.Wait()
			defer stop()
			for range 2 {
				hosts.Go(func() {
					for ctx.Err() == nil {
						child(ctx, t, where, end, func(id string) {
							mu.Lock()
							defer mu.Unlock()
							said[id]++
						})
					}
				})
			}
			n := wantEachOnce(t, s, processJobs(end), end, 30)
			mu.Lock()
			defer mu.Unlock()
			for id, times := range said {
				if times != 1 {
					t.Errorf("the success of %s was written down %d times", id, times)
				}
			}
			t.Logf("%d due times, %d of whose successes were heard", n, len(said))
		})
	}
}

// child is a host that is killed after a while, or stopped for longer than others believe in it.
func child(ctx context.Context, t *testing.T, where string, end time.Time, hear func(id string)) {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childOf+"="+where, endOf+"="+end.Format(time.RFC3339))
	cmd.Stderr = t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err = errors.Join(err, cmd.Start()); err != nil {
		t.Error(err)
		return
	}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			hear(lines.Text())
		}
	}()
	wait := func(d time.Duration) {
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
	}
	wait(3*time.Second + rand.N(2*time.Second))
	if rand.N(2) == 0 {
		_ = cmd.Process.Signal(syscall.SIGSTOP)
		wait(brisk.hold + 2*time.Second)
		_ = cmd.Process.Signal(syscall.SIGCONT)
		wait(2 * time.Second)
	}
	_ = cmd.Process.Kill()
	<-heard
	_ = cmd.Wait()
}
