package inbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

const (
	maxText      = 512      // bytes of an event id or key; of a longer one its hash is kept
	growth       = 64 << 10 // bytes by which a document may grow after it was kept
	keepAttempts = 3
)

// Keep keeps a delivery: as Kept when neither it nor its source names a plugin, else Pending. When it returns, it is on disk, and will be handled. A delivery without an ID is
// given one, without At the time of now; State and what comes of attempts are set here, and credentials in the header are redacted.
//
// If the source has a delivery of that EventID already, that one is returned and repeat is true; when it was removed meanwhile, only its ID, times and EventID are left. What has no Source or EventID is invalid, what can't be
// kept too_large. It is unavailable when the store can't, and a [*Full] when the source has as many as it may. After unavailable it may have been kept all the same: keeping it
// once more is harmless.
func (i *Inbox) Keep(ctx context.Context, d Delivery) (kept Delivery, repeat bool, err error) {
	if d.Source == "" || d.EventID == "" || !utf8.ValidString(d.Source) || len(d.Source) > maxText {
		return Delivery{}, false, fmt.Errorf("a delivery needs a source and an event id: %w", fault.Invalid)
	}
	d, doc := i.begun(d)
	if size := store.Size(doc); size > store.MaxDocument-growth {
		return Delivery{}, false, fmt.Errorf("a delivery of %d bytes: %d can be kept: %w", size, store.MaxDocument-growth, fault.TooLarge)
	}
	kept, repeat, err = i.insert(ctx, d, doc)
	if err != nil {
		return Delivery{}, false, fmt.Errorf("keeping a delivery of %s: %w", d.Source, err)
	}
	return kept, repeat, nil
}

// begun is a delivery as it is in the beginning, and its document.
func (i *Inbox) begun(d Delivery) (Delivery, store.Document) {
	source, _ := i.source(d.Source)
	if d.ID == "" {
		d.ID = store.NewID()
	}
	if d.At.IsZero() {
		d.At = time.Now()
	}
	if d.Plugin == "" {
		d.Plugin = source.Plugin
	}
	d.At = d.At.UTC().Truncate(time.Millisecond)
	d.EventID, d.Key = bounded(d.EventID), bounded(d.Key)
	d.Header = withoutSecrets(d.Header, source.Verify.Header)
	d.Attempts, d.Tries, d.Deaths, d.Replays, d.Next, d.Ended, d.Error = nil, 0, 0, 0, time.Time{}, time.Time{}, ""
	if d.Plugin == "" {
		d.State, d.Ended = Kept, d.At
		doc := encode(d)
		doc["ended"], doc["expires"] = d.At, d.At.Add(max(source.Retention, leastKnown))
		if source.Retention < leastKnown {
			doc["next"] = d.At.Add(source.Retention)
		}
		return d, doc
	}
	d.State = Pending
	doc := encode(d)
	if line := lineOf(d.Source, d.Key); line != "" {
		doc["line"], doc["place"] = line, place(d.At, d.ID)
	}
	return d, doc
}

// bounded returns an id or key that can be kept and is told from others: the hash of one that is too long or no text.
func bounded(id string) string {
	if len(id) <= maxText && utf8.ValidString(id) && !strings.HasPrefix(id, "\U0010FFFF") {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// insert keeps a delivery if its event is new.
func (i *Inbox) insert(ctx context.Context, d Delivery, doc store.Document) (kept Delivery, repeat bool, err error) {
	if err := i.Ensure(ctx); err != nil {
		return Delivery{}, false, err
	}
	leave, err := i.enterRoom(ctx, d.Source)
	if full, ok := errors.AsType[*Full](err); ok { // what is a repeat needs no room
		if kept, err := i.first(ctx, d); err == nil || !errors.Is(err, fault.NotFound) {
			return kept, err == nil, err
		}
		return Delivery{}, false, full
	}
	if err != nil {
		return Delivery{}, false, err
	}
	for range keepAttempts { // the one that was before may go meanwhile
		waits := false
		if waits, err = i.hasLine(ctx, doc); err != nil {
			break
		}
		if d.State == Pending && !waits {
			d.Next, doc["next"] = d.At, d.At.Add(-headStart)
		}
		_, err = i.store.Apply(ctx, store.Insert{Collection: collection, Document: doc})
		if err == nil {
			i.inserted(ctx, d, waits)
			return d, false, nil
		}
		taken, ok := errors.AsType[*store.Duplicate](err)
		if !ok {
			break
		}
		kept, missing := i.first(ctx, d)
		if missing == nil || !errors.Is(missing, fault.NotFound) {
			leave()
			return kept, missing == nil, missing
		}
		if len(taken.Fields) == 0 { // it is the id that another has
			break
		}
	}
	leave()
	return Delivery{}, false, err
}

// hasLine reports whether others are pending in the line of a new document.
func (i *Inbox) hasLine(ctx context.Context, doc store.Document) (bool, error) {
	line := doc.String("line")
	if line == "" {
		return false, nil
	}
	delete(doc, "next")
	oldest, err := i.oldest(ctx, line, 1)
	return len(oldest) > 0, err
}

// inserted sees to it that a new delivery is taken.
func (i *Inbox) inserted(ctx context.Context, d Delivery, waits bool) {
	switch {
	case d.State != Pending:
	case waits: // those before it may have ended meanwhile
		i.advance(ctx, d.Source, lineOf(d.Source, d.Key))
	default:
		i.wake(d.Source)
	}
}

// first returns the delivery that has the event id of another.
func (i *Inbox) first(ctx context.Context, d Delivery) (Delivery, error) {
	found, err := i.store.Find(ctx, store.Query{
		Collection: collection, Filter: store.And{store.Eq("source", d.Source), store.Eq("event", d.EventID)}, Limit: 1,
	})
	if err != nil {
		return Delivery{}, fmt.Errorf("looking for the first delivery of the event: %w", err)
	}
	if len(found) == 0 {
		return Delivery{}, fmt.Errorf("no delivery of the event: %w", fault.NotFound)
	}
	first := decode(found[0])
	if first.State == forgotten {
		first.State = Done
	}
	return first, nil
}
