package lease

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// ledger is what processes say about the leases that they held.
type ledger struct {
	mu      sync.Mutex
	holders map[int64]string
	done    int64 // guarded writes
	refused int64
}

func (l *ledger) held(t *testing.T, token int64, by string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if other, ok := l.holders[token]; ok {
		t.Errorf("token %d was %s's and is %s's", token, other, by)
	}
	l.holders[token] = by
}

func (l *ledger) wrote(t *testing.T, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.done++
	case errors.Is(err, fault.Conflict):
		l.refused++
	default:
		t.Error(err)
	}
}

func TestWhatThreeDoThatCrashAddsUp(t *testing.T) {
	onEveryStore(t, func(t *testing.T, s store.Store) {
		newCounter(t, s)
		l := &ledger{holders: make(map[int64]string)}
		end := time.Now().Add(3 * time.Second)
		var all sync.WaitGroup
		for who := range 3 {
			all.Go(func() {
				for life := 0; time.Now().Before(end); life++ {
					live(t, s, l, fmt.Sprintf("%d in life %d", who, life))
				}
			})
		}
		all.Wait()
		if n := counted(t, s); n != l.done || n == 0 { // how many come too late and are refused is chance
			t.Errorf("the counter says %d, and %d were counted, %d refused", n, l.done, l.refused)
		}
		t.Logf("%d holders, %d writes, %d refused", len(l.holders), l.done, l.refused)
	})
}

// live is one life of a process that counts under a lease. Half of them end in a crash: no heartbeat gets through any more, nothing is released,
// and a write that was on its way arrives when another may have the lease.
func live(t *testing.T, s store.Store, l *ledger, name string) {
	ls, link := process(s, name)
	lease, err := ls.TakeWhenFree(t.Context(), "counting", 2*MinTTL)
	if err != nil {
		t.Error(err)
		return
	}
	l.held(t, lease.Token(), name)
	for range rand.N(10) {
		l.wrote(t, addOne(t, s, lease, 0))
	}
	if rand.N(2) == 0 {
		link.broken.Store(true)
		l.wrote(t, addOne(t, s, lease, rand.N(6*MinTTL)))
		lease.endRun(nil)
		<-lease.ended
		return
	}
	err = lease.Release(t.Context())
	if _, late := errors.AsType[*Lost](err); err != nil && !late {
		t.Error(err)
	}
}

// addOne is what a lease is for: it reads, thinks and writes, and whoever does so meanwhile makes it wrong.
func addOne(t *testing.T, s store.Store, l *Lease, think time.Duration) error {
	d, err := s.Get(t.Context(), "work", "counter")
	if err != nil {
		return err
	}
	time.Sleep(think)
	_, err = s.Apply(t.Context(), l.Guard(), store.Put{Collection: "work", Document: store.Document{"id": "counter", "n": d.Int("n") + 1}})
	return err
}
