package inbox

import (
	"context"
	"sync"
	"time"
)

// countAgain is how long a source that may be full is taken to have changed by what is kept here alone.
const countAgain = 10 * time.Second

// rooms know how many deliveries each source has, as far as that is needed to refuse more than it may have. Counting many takes long: it is done when what was kept here since could
// be the tenth part of what there was room for, as ten hosts may do it together.
type rooms struct {
	mu sync.Mutex
	of map[string]*room // by source
}

type room struct {
	mu    sync.Mutex
	read  time.Time // when it was counted
	n     int       // how many there were
	since int       // how many were kept here then
}

func (r *rooms) get(source string) *room {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of[source] == nil {
		r.of[source] = &room{}
	}
	return r.of[source]
}

// stale reports whether it has to be counted.
func (r *room) stale(most int) bool {
	age := time.Since(r.read)
	return r.read.IsZero() || age >= countAgain && r.since >= max(0, (most-r.n)/10) || age >= time.Hour
}

// enterRoom counts one more delivery of a source, or returns a *Full; leave says that it was not kept.
func (i *Inbox) enterRoom(ctx context.Context, source string) (leave func(), err error) {
	s, _ := i.source(source)
	if s.MaxKept == 0 {
		return func() {}, nil
	}
	r := i.rooms.get(source)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stale(s.MaxKept) {
		n := 0
		for _, state := range states {
			c, err := i.store.Count(ctx, collection, in(source, state))
			if err != nil {
				return nil, err
			}
			n += c
		}
		r.n, r.since, r.read = n, 0, time.Now()
	}
	if r.n+r.since >= s.MaxKept {
		return nil, &Full{Source: source, Kept: r.n + r.since, Most: s.MaxKept}
	}
	r.since++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.since = max(0, r.since-1)
	}, nil
}
