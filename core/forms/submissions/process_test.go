package submissions

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/lambda"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
)

// childOf is the variable that makes this test binary a process of its own, which works on the store that it names; childRole says how.
const (
	childOf   = "EDGE_TEST_SUBMISSIONS_STORE"
	childRole = "EDGE_TEST_SUBMISSIONS_ROLE"
)

// asChild ends this process with its work, if it is to be another one.
func asChild() {
	address := os.Getenv(childOf)
	if address == "" {
		return
	}
	work := burst
	if os.Getenv(childRole) == "stall" {
		work = stall
	}
	s, err := enginetest.Open(context.Background(), address)
	if err == nil {
		err = work(s)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// tell writes a line at once and whole.
func tell(word, text string) error {
	_, err := os.Stdout.WriteString(word + " " + text + "\n")
	return err
}

// inShortClaims delivers, and soon again when a process dies.
func inShortClaims(s *Submissions) {
	s.slack, s.poll = 500*time.Millisecond, 50*time.Millisecond
	s.Use(forms, map[string]config.Function{"mail": {Timeout: 500 * time.Millisecond, Concurrency: 4}})
}

// burst keeps and delivers until it is killed: "kept ID" is written when Keep has returned, "called ID" when the function was called.
func burst(kept store.Store) error {
	s := on(kept, newFunction(func(_ context.Context, _, event string) (lambda.Result, error) {
		return lambda.Result{Payload: []byte(`{}`)}, tell("called", event)
	}))
	inShortClaims(s)
	ended := make(chan error)
	go func() { ended <- s.Run(context.Background()) }()
	for range 4 {
		go func() {
			for {
				id := store.NewID()
				_, _, err := s.Keep(context.Background(), Submission{ID: id, Form: "contact", Function: "mail", Event: []byte(id)})
				if err = errors.Join(err, tell("kept", id)); err != nil {
					ended <- err
				}
			}
		}()
	}
	return <-ended
}

func child(t *testing.T, address, role string) (*exec.Cmd, io.Writer, *bufio.Scanner) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childOf+"="+address, childRole+"="+role)
	cmd.Stderr = t.Output()
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	return cmd, in, bufio.NewScanner(out)
}

func TestKillingAProcessInABurstLosesNothing(t *testing.T) {
	for engine, address := range engines.Addresses() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			where := address(t)
			acknowledged, called := make(map[string]bool), make(map[string]bool)
			for range 10 {
				cmd, _, lines := child(t, where, "burst")
				for enough := len(acknowledged) + 20; lines.Scan(); {
					word, id, _ := strings.Cut(lines.Text(), " ")
					if len(id) != 36 { // the last may be cut off
						continue
					}
					map[string]map[string]bool{"kept": acknowledged, "called": called}[word][id] = true
					if len(acknowledged) == enough {
						_ = cmd.Process.Kill()
					}
				}
				_ = cmd.Wait()
			}
			allDelivered(t, where, acknowledged, called)
		})
	}
}

// allDelivered delivers what was left, and looks for what was acknowledged.
func allDelivered(t *testing.T, where string, acknowledged, called map[string]bool) {
	t.Helper()
	kept := spied(enginetest.Opened(t, where))
	var mu sync.Mutex
	s := on(kept, newFunction(func(_ context.Context, _, event string) (lambda.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		called[event] = true
		return lambda.Result{Payload: []byte(`{}`)}, nil
	}))
	inShortClaims(s)
	if err := s.ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := runs(t, s)
	kept.await(t, "all are delivered", func() bool { return inState(t, kept, Pending) == 0 })
	stop()
	if len(acknowledged) < 200 {
		t.Fatalf("only %d were acknowledged", len(acknowledged))
	}
	for id := range acknowledged {
		if sub, err := s.Get(t.Context(), id); err != nil || sub.State != Done || !called[id] {
			t.Errorf("%s was acknowledged: called %v, %+v, %v", id, called[id], sub, err)
		}
	}
}

// stall delivers, and says when it is called and when it has ended; its function never waits, but a stopped process does.
func stall(kept store.Store) error {
	in := bufio.NewScanner(os.Stdin)
	ctx, stop := context.WithCancel(context.Background())
	s := on(kept, newFunction(func(_ context.Context, _, event string) (lambda.Result, error) {
		err := tell("called", event)
		in.Scan()
		stop()
		return lambda.Result{Payload: []byte(`{"statusCode":400,"body":"too late"}`)}, err
	}))
	inShortClaims(s)
	err := s.Run(ctx)
	return errors.Join(err, tell("ended", ""))
}

func TestAProcessThatWasStoppedComesTooLate(t *testing.T) {
	where := engines.Addresses()["mongodb"](t) // a process that is stopped may have SQLite's lock
	watched := spied(enginetest.Opened(t, where))
	s := on(watched, newFunction(says(`{}`)))
	s.poll = 50 * time.Millisecond
	id := keep(t, s, sent("a")).ID
	cmd, in, lines := child(t, where, "stall")
	if !lines.Scan() || lines.Text() != "called a" {
		t.Fatal(lines.Text())
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	runs(t, s)
	watched.await(t, "it is delivered here", func() bool { return get(t, s, id).State == Done })
	fmt.Fprintln(in)
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if !lines.Scan() || lines.Text() != "ended " {
		t.Fatal(lines.Text())
	}
	_ = cmd.Wait()
	if sub := get(t, s, id); sub.State != Done || sub.Attempts != 2 || sub.Error != "" {
		t.Errorf("%+v", sub)
	}
}
