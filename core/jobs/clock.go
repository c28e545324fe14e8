package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

const (
	askEvery  = time.Minute            // how often the store is asked for the time
	wasSet    = 200 * time.Millisecond // by which this host's clock differs when it was set, or the machine has slept
	jump      = time.Second            // by which the store's has, when jobs are looked at anew
	askWithin = 5 * time.Second
	keepHost  = 24 * time.Hour
)

// clock knows the store's time without asking each time.
type clock struct {
	wall func() time.Time // this host's, as it is set

	mu     sync.Mutex
	stored time.Time // what the store has said
	read   time.Time // when it did, as this host counts
	set    time.Time // what this host's clock was then
}

func newClock() *clock {
	c := &clock{wall: func() time.Time { return time.Now().Round(0) }}
	c.stored, c.read, c.set = time.Now().UTC().Round(0), time.Now(), c.wall()
	return c
}

// now is the time.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at(time.Now())
}

func (c *clock) at(read time.Time) time.Time {
	return c.stored.Add(read.Sub(c.read)).Truncate(time.Millisecond)
}

// doubtful reports whether the store has to be asked.
func (c *clock) doubtful() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	counted := time.Since(c.read)
	return counted >= askEvery || (c.wall().Sub(c.set)-counted).Abs() >= wasSet
}

// ask asks the store, and reports by how much the time is another than was thought. An answer on its way for a while is no reason to change a time that
// fits it.
func (c *clock) ask(ctx context.Context, s store.Store, host string) (by time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	id := "*" + host
	asked := time.Now()
	d, err := s.Claim(ctx, store.Query{Collection: jobsCollection, Filter: store.ID(id)}, store.Change{Set: store.Document{"at": store.Now(0), "expires": store.Now(keepHost)}})
	if errors.Is(err, fault.NotFound) {
		if _, err = s.Apply(ctx, store.Insert{Collection: jobsCollection, Document: store.Document{"id": id}}); err == nil || errors.Is(err, fault.Conflict) {
			return c.ask(ctx, s, host)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("asking the store for the time: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	said, answered := d.Time("at"), time.Now()
	thought := c.at(answered)
	fits := !thought.Before(said) && thought.Before(said.Add(answered.Sub(asked)+2*time.Millisecond))
	if fits {
		said = c.stored.Add(answered.Sub(c.read))
	}
	c.stored, c.read, c.set = said, answered, c.wall()
	return c.stored.Sub(thought), nil
}
