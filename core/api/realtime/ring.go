package realtime

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// item is a change that has been heard of. That of a fence, or of one that is forgotten, has no type.
type item struct {
	changes.Change
	position string
	before   *item // the change of the same row that was heard of before, under the ring's mutex; nil: not known

	reading chan struct{} // held by who reads the row
	mu      sync.Mutex
	read    bool
	row     store.Document // as it was when it was first needed; nil: there was none
}

func newItem(e store.Event) *item {
	return &item{Change: changes.Decode(e.Document), position: e.Position, reading: make(chan struct{}, 1)}
}

// readWithin is how long a row may take: nothing else happens in a stream meanwhile.
const readWithin = 5 * time.Second

// now returns the row as it is, or was when somebody else needed it; nil: there is none any more. It is read once for all.
func (i *item) now(ctx context.Context, s store.Store, t *schema.Type) (store.Document, error) {
	if row, ok := i.known(); ok {
		return row, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	select {
	case i.reading <- struct{}{}:
		defer func() { <-i.reading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if row, ok := i.known(); ok {
		return row, nil
	}
	row, err := s.Get(ctx, rows.Name(t), rows.RowID(t, i.Entry, i.Locale, i.Status == rows.Draft))
	if err != nil && !errors.Is(err, fault.NotFound) {
		return nil, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.row, i.read = row, true
	return row, nil
}

// known returns the row if somebody has needed it.
func (i *item) known() (row store.Document, ok bool) {
	if i == nil {
		return nil, false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.row, i.read
}

// ring is the last changes that were heard of. Each has a number.
type ring struct {
	mu      sync.Mutex
	items   [kept]*item
	first   uint64 // the number of the first one since something was missed
	next    uint64 // of the next one
	places  map[string]uint64
	latest  map[string]*item         // by row
	waiting map[string]chan struct{} // by type: closed when there is something new
	open    chan struct{}            // closed when there is a first one
}

func newRing() *ring {
	return &ring{places: map[string]uint64{}, latest: map[string]*item{}, waiting: map[string]chan struct{}{}, open: make(chan struct{})}
}

func rowOf(i *item) string { return i.Type + " " + i.Entry + " " + i.Locale + " " + i.Status }

// wakeAll is after how many changes everybody looks, those too whose type has none, so that they are not taken for slow.
const wakeAll = kept / 4

func (r *ring) put(i *item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := &r.items[r.next%kept]
	if old := *at; old != nil {
		delete(r.places, old.position)
		if r.latest[rowOf(old)] == old {
			delete(r.latest, rowOf(old))
		}
	}
	if i.Type != "" {
		if i.before = r.latest[rowOf(i)]; i.before != nil {
			i.before.before = nil // or each would hold all that came before it
		}
		r.latest[rowOf(i)] = i
	}
	*at = i
	r.places[i.position] = r.next
	if r.next == r.first {
		close(r.open)
	}
	r.next++
	if r.next%wakeAll == 0 {
		r.wake()
	} else if c := r.waiting[i.Type]; c != nil {
		close(c)
		delete(r.waiting, i.Type)
	}
}

func (r *ring) wake() {
	for _, c := range r.waiting {
		close(c)
	}
	clear(r.waiting)
}

// missed notes that nobody knows what happened between the last change and the next one.
func (r *ring) missed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == r.first {
		return
	}
	r.next++ // who has heard all of it comes too late, too
	r.first = r.next
	r.open = make(chan struct{})
	clear(r.items[:])
	clear(r.places)
	clear(r.latest)
	r.wake()
}

// opened is closed when there is a first change.
func (r *ring) opened() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open
}

// after returns the first change of a type whose number is at least from, and the one of the same row before it; nil, and what is closed when there is one, if there is
// none. Next is what to ask for then. That ok is false means that something between is not known any more.
func (r *ring) after(from uint64, of string) (i, before *item, next uint64, news <-chan struct{}, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if from < r.first || from+kept < r.next {
		return nil, nil, 0, nil, false
	}
	for ; from < r.next; from++ {
		if i := r.items[from%kept]; i.Type == of {
			return i, i.before, from + 1, nil, true
		}
	}
	if r.waiting[of] == nil {
		r.waiting[of] = make(chan struct{})
	}
	return nil, nil, from, r.waiting[of], true
}

// head is the number of the next change.
func (r *ring) head() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next
}

// position is that of the change before a number, "" if it is not known any more.
func (r *ring) position(number uint64) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if number <= r.first || number > r.next || number+kept <= r.next {
		return ""
	}
	return r.items[(number-1)%kept].position
}

// place is the number of the change at a position.
func (r *ring) place(position string) (uint64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	number, ok := r.places[position]
	return number, ok
}
