package inbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
)

// childOf is the variable that makes this test binary a process of its own, which keeps deliveries in the store that it names.
const childOf = "EDGE_TEST_INBOX_STORE"

// asChild ends this process with its work, if it is to be another one.
func asChild() {
	address := os.Getenv(childOf)
	if address == "" {
		return
	}
	s, err := enginetest.Open(context.Background(), address)
	if err == nil {
		err = burst(on(s))
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// burst keeps until it is killed, some in lines, and everything twice; an id is written when Keep has returned.
func burst(i *Inbox) error {
	ended := make(chan error)
	for n := range 8 {
		go func() {
			for {
				event := store.NewID()
				for range 2 {
					d := Delivery{Source: "stripe", EventID: event}
					if n < 2 {
						d.Key = "a"
					}
					_, _, err := i.Keep(context.Background(), d)
					if _, wrote := os.Stdout.WriteString(event + "\n"); errors.Join(err, wrote) != nil {
						ended <- errors.Join(err, wrote)
						return
					}
				}
			}
		}()
	}
	return <-ended
}

func TestKillingAProcessInABurstLosesNothingAndKeepsNothingTwice(t *testing.T) {
	for engine, address := range engines.Addresses() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			where := address(t)
			acknowledged := make(map[string]bool)
			for range 10 {
				cmd := exec.CommandContext(t.Context(), os.Args[0])
				cmd.Env = append(os.Environ(), childOf+"="+where)
				cmd.Stderr = t.Output()
				out, err := cmd.StdoutPipe()
				if err = errors.Join(err, cmd.Start()); err != nil {
					t.Fatal(err)
				}
				lines := bufio.NewScanner(out)
				for enough := len(acknowledged) + 50; lines.Scan(); {
					if event := lines.Text(); len(event) == 36 { // the last may be cut off
						acknowledged[event] = true
					}
					if len(acknowledged) == enough {
						_ = cmd.Process.Kill()
					}
				}
				_ = cmd.Wait()
			}
			allThere(t, on(enginetest.Opened(t, where)), acknowledged)
		})
	}
}

// allThere handles all that was left, and looks for what was acknowledged.
func allThere(t *testing.T, i *Inbox, acknowledged map[string]bool) {
	t.Helper()
	if len(acknowledged) < 500 {
		t.Fatalf("only %d were acknowledged", len(acknowledged))
	}
	if err := i.sweep(patient(t), true); err != nil {
		t.Fatal(err)
	}
	handled := make(map[string]int)
	for {
		due, err := i.Due(patient(t), "stripe")
		if err != nil {
			t.Fatal(err)
		}
		if !due {
			break
		}
		taken := take(t, i, "stripe")
		handled[taken.EventID]++
		settle(t, i, taken, Result{State: Done})
	}
	for event := range acknowledged {
		if handled[event] != 1 {
			t.Errorf("%s was acknowledged and handled %d times", event, handled[event])
		}
	}
	for event, n := range handled {
		if n != 1 {
			t.Errorf("%s was kept %d times", event, n)
		}
	}
	if counts, err := i.Counts(patient(t)); err != nil || counts[2].Pending != 0 || counts[2].Done != len(handled) {
		t.Errorf("%+v, %v", counts, err)
	}
}
