package entries

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// A Change says who changes an entry, and which of its versions.
type Change struct {
	Scope   access.Scope // nil: everything is allowed
	By      access.Caller
	Draft   bool   // only the draft, of types with drafts; else it is published as well
	Locale  string // of localized types; "" is the default. Delete takes [rows.AllLocales] as well
	IfMatch string // the revision of the version that is changed, in decimal; "" is any

	With func(documentID string) []store.Write // what is written elsewhere together with it, or not at all, of [maxWith] writes at most; nil: nothing
}

// maxWith is how many writes come with a change at most.
const maxWith = 10

// tries is how often a change is made anew because somebody else was quicker.
const tries = 20

// Collections are what entries keep beside the entries themselves, for [store.Store.Ensure].
func Collections() []store.Collection {
	return []store.Collection{{Name: sequences}, changes.Collection()}
}

// Create makes an entry. Numbers in data are json.Number. Errors are a [problem.Error], or what the store says.
//
// Of a type with drafts it makes both, the draft and what is published, unless only the draft is wanted.
func (e *Entries) Create(ctx context.Context, t *schema.Type, data map[string]any, o Change) (documentID string, err error) {
	if o.Scope != nil && !o.Scope.May(t, access.Create) {
		return "", problem.Forbidden()
	}
	documentID = rows.NewDocumentID()
	return documentID, e.try(ctx, t, o, func(ctx context.Context) error {
		j, err := e.job(t, documentID, o)
		if err != nil {
			return err
		}
		return j.create(ctx, data)
	})
}

// Update changes the attributes of an entry that data has; the others stay. The entry gets a version in the locale if it has none there. Of a type with drafts
// the draft is changed, and then published as it is, unless only the draft is wanted.
//
// It is 404 when the caller can't see the entry, 403 when he sees it and may not change it, or not in this way, and 412 when it is not what IfMatch says.
func (e *Entries) Update(ctx context.Context, t *schema.Type, documentID string, data map[string]any, o Change) error {
	if o.Scope != nil && !o.Scope.May(t, access.Update) {
		return problem.Forbidden()
	}
	if !rows.IsDocumentID(documentID) {
		return problem.NotFound()
	}
	return e.inTurn(ctx, t, documentID, func() error {
		return e.try(ctx, t, o, func(ctx context.Context) error {
			j, err := e.job(t, documentID, o)
			if err != nil {
				return err
			}
			if err := j.read(ctx); err != nil {
				return err
			}
			return j.update(ctx, data)
		})
	})
}

// Put changes the entry of a single type, or makes it.
func (e *Entries) Put(ctx context.Context, t *schema.Type, data map[string]any, o Change) (created bool, err error) {
	if o.Scope != nil && !o.Scope.May(t, access.Update) {
		return false, problem.Forbidden()
	}
	err = e.inTurn(ctx, t, singleID(t), func() error {
		return e.try(ctx, t, o, func(ctx context.Context) error {
			id, err := e.only(ctx, t)
			if err != nil {
				return err
			}
			if created = id == ""; created {
				id = singleID(t)
			}
			j, err := e.job(t, id, o)
			switch {
			case err != nil:
				return err
			case created && o.IfMatch != "":
				return problem.Changed()
			case created:
				return j.create(ctx, data)
			}
			if err := j.read(ctx); err != nil {
				return err
			}
			return j.update(ctx, data)
		})
	})
	return created && err == nil, err
}

// only is the document id of the one entry of a single type; "" if there is none.
func (e *Entries) only(ctx context.Context, t *schema.Type) (string, error) {
	found, err := e.store.Find(ctx, store.Query{Collection: rows.Name(t), Sort: []store.Order{{Field: rows.Number}}, Limit: 1, Fields: []string{rows.DocumentID}})
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0].String(rows.DocumentID), nil
}

// singleID is the document id that a single type's entry gets: always the same, so that two that make it at the same moment can't make two.
func singleID(t *schema.Type) string {
	sum := sha256.Sum256([]byte(t.UID))
	id := "s" + strconv.FormatUint(binary.BigEndian.Uint64(sum[:]), 36) + strconv.FormatUint(binary.BigEndian.Uint64(sum[8:]), 36)
	return (id + strings.Repeat("0", 24))[:24]
}

// Delete removes an entry, in all versions, or those of a locale. It is not found when it is not there, or not for the caller to see; 403 when he sees it and may
// not delete it.
func (e *Entries) Delete(ctx context.Context, t *schema.Type, documentID string, o Change) (found bool, err error) {
	if o.Scope != nil && !o.Scope.May(t, access.Delete) {
		return false, problem.Forbidden()
	}
	if !rows.IsDocumentID(documentID) {
		return false, nil
	}
	err = e.inTurn(ctx, t, documentID, func() error {
		return e.try(ctx, t, o, func(ctx context.Context) error {
			j, err := e.job(t, documentID, o)
			if err != nil {
				return err
			}
			if err := j.read(ctx); err != nil {
				return err
			}
			found, err = j.delete(ctx)
			return err
		})
	})
	return found && err == nil, err
}

// again is an error that another try may not have: somebody else was quicker.
type again struct{ error }

func (a again) Unwrap() error { return a.error }

func isAgain(err error) bool {
	_, ok := errors.AsType[again](err)
	return ok
}

// try makes a change, as often as others are quicker.
func (e *Entries) try(ctx context.Context, t *schema.Type, o Change, once func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, store.Timeout)
	defer cancel()
	for n := range tries {
		err := e.unlessHalted(t, func() error { return told(t, once(ctx)) })
		if !isAgain(err) {
			return err
		}
		if o.IfMatch != "" {
			return problem.Changed()
		}
		if d, ok := errors.AsType[*store.Duplicate](err); ok && slices.Equal(d.Fields, []string{rows.Number}) {
			if err := e.catchUp(ctx, t); err != nil {
				return err
			}
		}
		select {
		case <-time.After(rand.N(time.Duration(n+1) * time.Millisecond)):
		case <-ctx.Done():
			return fmt.Errorf("changing an entry of %s: %w: %w", t.Name, fault.Unavailable, ctx.Err())
		}
	}
	return e.crowded(t)
}

func (e *Entries) crowded(t *schema.Type) error {
	return fmt.Errorf("an entry of %s, or one that it refers to, is being changed by too many at once: try it again: %w", t.Name, fault.Unavailable)
}

// told says what an error of the store means for a change.
func told(t *schema.Type, err error) error {
	if err == nil || fault.CodeOf(err) != fault.Conflict {
		return err
	}
	if _, ok := errors.AsType[*problem.Error](err); ok {
		return err
	}
	if d, ok := errors.AsType[*store.Duplicate](err); ok && d.Collection == rows.Name(t) {
		for _, field := range d.Fields {
			if t.Attribute(field) != nil {
				return err // whoever knows the values says it
			}
		}
	}
	return again{err}
}

// turns has those that change one entry do so one after the other, which spares them from getting into each other's way. That nothing gets lost does not depend on it.
type turns struct {
	seed  maphash.Seed
	lines []chan struct{}
}

func newTurns() turns {
	const lines = 256
	t := turns{seed: maphash.MakeSeed(), lines: make([]chan struct{}, lines)}
	for i := range t.lines {
		t.lines[i] = make(chan struct{}, 1)
	}
	return t
}

// inTurn does something to an entry when it is its turn.
func (e *Entries) inTurn(ctx context.Context, t *schema.Type, documentID string, do func() error) error {
	line := e.turns.lines[maphash.String(e.turns.seed, t.Name+" "+documentID)%uint64(len(e.turns.lines))]
	wait := time.NewTimer(store.Timeout)
	defer wait.Stop()
	select {
	case line <- struct{}{}:
		defer func() { <-line }()
		return do()
	case <-wait.C:
		return e.crowded(t)
	case <-ctx.Done():
		return fmt.Errorf("changing an entry of %s: %w: %w", t.Name, fault.Unavailable, ctx.Err())
	}
}
