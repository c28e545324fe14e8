package exchange

import (
	"context"
	"errors"
	"runtime"
	"testing"
)

type told int

func (n *told) Gone(error) { *n++ }

// TestWhoWatchesAgainIsNotToldOfTheTimeBefore: streams and watchers are both used again, so that the same two may meet.
func TestWhoWatchesAgainIsNotToldOfTheTimeBefore(t *testing.T) {
	var w Watch
	var n told
	why := func() error { return errors.New("gone") }
	for range 1000 {
		before, leave := context.WithCancel(t.Context())
		w.Set(before, &n, why)
		leave() // whoever is to tell it has started, and comes too late
		w.End()
		n = 0 // it may have been in time
		w.Set(t.Context(), &n, why)
		for range 20 {
			runtime.Gosched()
		}
		w.End()
		if n > 0 {
			t.Fatal("told of the time before")
		}
	}
}
