package entries

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
)

// createsIn is the variable that makes this test binary a process of its own, which creates entries in the store that it names.
const createsIn = "EDGE_TEST_ENTRIES_STORE"

// TestCreatingUntilItIsKilled is no test but that process. An id is written when Create has returned.
func TestCreatingUntilItIsKilled(t *testing.T) {
	address := os.Getenv(createsIn)
	if address == "" {
		t.Skip("run by another test")
	}
	s, err := enginetest.Open(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	d := newDesk(t, s)
	ended := make(chan error)
	for range 8 {
		go func() {
			for {
				id, err := d.Create(context.Background(), d.article, sent(t, `{"title": %q}`, store.NewID()), anything)
				if _, wrote := fmt.Println("id", id); errors.Join(err, wrote) != nil {
					ended <- errors.Join(err, wrote)
					return
				}
			}
		}()
	}
	t.Fatal(<-ended)
}

func TestKillingAProcessThatCreatesLeavesNoHalfEntry(t *testing.T) {
	for engine, address := range engines.Addresses() {
		t.Run(engine, func(t *testing.T) {
			where := address(t)
			acknowledged := map[string]bool{}
			for range 4 {
				createAndKill(t, where, acknowledged)
			}
			if len(acknowledged) < 4*40 {
				t.Fatalf("only %d were created", len(acknowledged))
			}
			d := newDesk(t, enginetest.Opened(t, where))
			found, err := d.s.Find(patient(t), store.Query{Collection: rows.Name(d.article), Limit: store.MaxFind})
			if err != nil {
				t.Fatal(err)
			}
			versions := map[string]int{}
			for _, row := range found {
				versions[row.String(rows.DocumentID)]++
			}
			for id, n := range versions {
				if n != 2 {
					t.Errorf("%s has %d versions", id, n)
				}
			}
			for id := range acknowledged {
				if versions[id] == 0 {
					t.Errorf("%s is lost", id)
				}
			}
			if n, err := d.s.Count(patient(t), changes.Name, nil); err != nil || n != len(found) {
				t.Errorf("%d changes of %d rows: %v", n, len(found), err)
			}
		})
	}
}

// createAndKill lets a process create some entries, and kills it in the middle of it.
func createAndKill(t *testing.T, address string, acknowledged map[string]bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestCreatingUntilItIsKilled$")
	cmd.Env = append(os.Environ(), createsIn+"="+address)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err = errors.Join(err, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for enough := len(acknowledged) + 40; lines.Scan(); {
		var id string
		if _, err := fmt.Sscanf(lines.Text(), "id %s", &id); err == nil && len(id) == 24 { // the last may be cut off
			acknowledged[id] = true
		} else if lines.Text() != "" && err != nil {
			t.Log(lines.Text())
		}
		if len(acknowledged) >= enough {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
}
