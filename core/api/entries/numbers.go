package entries

import (
	"context"
	"errors"
	"sync"

	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// sequences has a document for each type: n is the greatest number that was given out to a host. That of components has no type's name.
const sequences = "api-sequences"

// componentSequence counts the components of all types.
const componentSequence = ".components"

// block is how many numbers a host takes at once. What it has not used when it ends is lost.
const block = 32

// numbers gives numbers to rows, each once, whatever the hosts.
type numbers struct {
	store store.Store
	mu    sync.Mutex
	by    map[string]*sequence
}

// A sequence has the numbers that this host may give.
type sequence struct {
	turn        chan struct{} // held by who looks at the others
	given, last int64
}

func (n *numbers) sequence(name string) *sequence {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.by[name]
	if s == nil {
		s = &sequence{turn: make(chan struct{}, 1)}
		n.by[name] = s
	}
	return s
}

// take returns the first of count numbers that follow one another.
func (n *numbers) take(ctx context.Context, name string, count int64) (int64, error) {
	s := n.sequence(name)
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-s.turn }()
	if s.last-s.given < count {
		more := max(block, count)
		last, err := n.claim(ctx, name, more)
		if err != nil {
			return 0, err
		}
		if last-more != s.last { // another host has taken some in between
			s.given = last - more
		}
		s.last = last
	}
	first := s.given + 1
	s.given += count
	return first, nil
}

// claim takes numbers for this host, and returns the last.
func (n *numbers) claim(ctx context.Context, name string, count int64) (int64, error) {
	q := store.Query{Collection: sequences, Filter: store.ID(name)}
	more := store.Change{Add: map[string]int64{"n": count}}
	doc, err := n.store.Claim(ctx, q, more)
	if fault.CodeOf(err) == fault.NotFound {
		_, err = n.store.Apply(ctx, store.Insert{Collection: sequences, Document: store.Document{"id": name, "n": int64(0)}})
		if _, taken := errors.AsType[*store.Duplicate](err); err != nil && !taken {
			return 0, err
		}
		doc, err = n.store.Claim(ctx, q, more)
	}
	return doc.Int("n"), err
}

// atLeast has a sequence go on after a number.
func (n *numbers) atLeast(ctx context.Context, name string, least int64) error {
	s := n.sequence(name)
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.turn }()
	s.given = max(s.given, min(least, s.last))
	last, err := n.claim(ctx, name, 0)
	if err == nil && last < least {
		_, err = n.claim(ctx, name, least-last)
	}
	return err
}

// Reserve has the numbers of a type's new rows be greater than n: for who brings rows with numbers of their own.
func (e *Entries) Reserve(ctx context.Context, t *schema.Type, n int64) error {
	return e.numbers.atLeast(ctx, t.Name, n)
}

// catchUp reserves the numbers that rows have.
func (e *Entries) catchUp(ctx context.Context, t *schema.Type) error {
	found, err := e.store.Find(ctx, store.Query{Collection: rows.Name(t), Sort: []store.Order{{Field: rows.Number, Descending: true}}, Limit: 1, Fields: []string{rows.Number}})
	if err != nil || len(found) == 0 {
		return err
	}
	return e.Reserve(ctx, t, found[0].Int(rows.Number))
}
