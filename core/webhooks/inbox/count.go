package inbox

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/onehost/edge/core/store"
)

// Count is how many deliveries of a source there are.
type Count struct {
	Source      string    `json:"source"`
	Pending     int       `json:"pending"`
	Done        int       `json:"done"`
	Dead        int       `json:"dead"`
	Quarantined int       `json:"quarantined"`
	Kept        int       `json:"kept"`
	Oldest      time.Time `json:"oldest,omitzero"` // when the oldest that is pending came
	Last        time.Time `json:"last,omitzero"`   // when the last one came; zero: none is known
	Full        bool      `json:"full,omitempty"`  // it has as many as it may: no more are taken
}

// Counts counts the deliveries of all sources that are configured or have any, by name, a thousand at most. To count very many takes long, so a number of more
// than ten thousand may be older: the hundredfold of the time that it took.
func (i *Inbox) Counts(ctx context.Context) ([]Count, error) {
	names, err := i.names(ctx)
	if err != nil {
		return nil, fmt.Errorf("counting deliveries: %w", err)
	}
	counts := make([]Count, 0, len(names))
	for _, source := range names {
		c, err := i.count(ctx, source)
		if err != nil {
			return nil, fmt.Errorf("counting deliveries of %s: %w", source, err)
		}
		counts = append(counts, c)
	}
	return counts, nil
}

func (i *Inbox) count(ctx context.Context, source string) (Count, error) {
	c, all := Count{Source: source}, 0
	for _, of := range [...]struct {
		state State
		n     *int
	}{{Pending, &c.Pending}, {Done, &c.Done}, {Dead, &c.Dead}, {Quarantined, &c.Quarantined}, {Kept, &c.Kept}} {
		var err error
		if *of.n, err = i.tally(ctx, tallied{source, of.state}); err != nil {
			return Count{}, err
		}
		all += *of.n
	}
	configured, _ := i.source(source)
	c.Full = configured.MaxKept > 0 && all >= configured.MaxKept
	var err error
	if c.Oldest, err = i.edge(ctx, source, Pending, false); err != nil {
		return Count{}, err
	}
	for _, state := range [...]State{Pending, Done, Dead, Quarantined, Kept, forgotten} {
		last, err := i.edge(ctx, source, state, true)
		if err != nil {
			return Count{}, err
		}
		if last.After(c.Last) {
			c.Last = last
		}
	}
	return c, nil
}

// edge returns when the oldest or the newest delivery of a state came.
func (i *Inbox) edge(ctx context.Context, source string, state State, newest bool) (time.Time, error) {
	found, err := i.store.Find(ctx, store.Query{
		Collection: collection, Filter: in(source, state), Sort: []store.Order{{Field: "at", Descending: newest}}, Limit: 1, Fields: []string{"at"},
	})
	if err != nil || len(found) == 0 {
		return time.Time{}, err
	}
	return found[0].Time("at"), nil
}

const (
	manyToCount = 10_000
	countedFor  = 100 // times as long as counting took is a large number good for
)

// tallies are the large numbers that were counted last.
type tallies struct {
	mu sync.Mutex
	of map[tallied]tally
}

type tallied struct {
	source string
	state  State
}

type tally struct {
	n     int
	until time.Time // when it is counted again
}

// tally returns how many deliveries of a source are in a state.
func (i *Inbox) tally(ctx context.Context, of tallied) (int, error) {
	i.tallies.mu.Lock()
	known, ok := i.tallies.of[of]
	i.tallies.mu.Unlock()
	now := time.Now()
	if ok && now.Before(known.until) {
		return known.n, nil
	}
	n, err := i.store.Count(ctx, collection, in(of.source, of.state))
	if err != nil {
		return 0, err
	}
	i.tallies.mu.Lock()
	defer i.tallies.mu.Unlock()
	delete(i.tallies.of, of)
	if n >= manyToCount {
		i.tallies.of[of] = tally{n, time.Now().Add(countedFor * time.Since(now))}
	}
	return n, nil
}

// names are the names of all sources that are configured or have deliveries, sorted. It leaps from one to the next in the index.
func (i *Inbox) names(ctx context.Context) ([]string, error) {
	if err := i.Ensure(ctx); err != nil {
		return nil, err
	}
	var all []string
	for source := range *i.sources.Load() {
		all = append(all, source)
	}
	for last := ""; len(all) < maxSources; {
		found, err := i.store.Find(ctx, store.Query{
			Collection: collection, Filter: store.Gt("source", last), Sort: []store.Order{{Field: "source"}, {Field: "state"}, {Field: "at"}}, Limit: 1, Fields: []string{"source"},
		})
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			break
		}
		last = found[0].String("source")
		all = append(all, last)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}
