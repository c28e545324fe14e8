// Package store is where everything lasts: collections of documents, found by conditions, changed in atomic batches.
//
// It is an interface with two engines, sqlite and mongodb, that behave alike: storetest is the suite that both pass, and a
// third one could be written from the comments here. Whoever uses a [Store] does not ask which it is.
//
// In come documents, conditions and changes, and what is the same for all engines: what is a valid value ([Normal]), the one
// order of values ([CompareValues]), how a change changes a document. What a document means is known only to who keeps it.
//
// # Errors
//
// Errors carry a code of package fault:
//
//   - invalid: the document, condition or change is none; nothing was done, and nothing will be if it is tried again.
//   - not_found: there is no such document.
//   - conflict: a unique index has those values already (a [*Duplicate]), or a write changed another number of documents than
//     it had to ([Update].Must).
//   - too_large: a document has more than [MaxDocument] bytes, or what a call asks for is more than its limit.
//   - unavailable: the store can't be reached, its disk is full, or the time given was not enough. Nothing was done, or, when
//     the connection broke in the middle, perhaps all of it, but never a part.
//
// Without a code is what must not happen, such as a damaged file. When the context ends, its error is wrapped beside the code.
//
// # Atomicity and durability
//
// What Apply and Claim did is on disk when they return (in a replica set: on the disks of a majority), and survives kill -9 and
// the loss of power. Either all of a call is done, or nothing; others see all of it or nothing. A read sees what was there at
// one moment, and all that was done before it began through the same Store. Reads never wait for writes.
//
// # Order
//
// Documents come in the order of the query's sort, and those that are equal in it by id, in the direction of the last [Order]: ascending
// when there is none. Ids are compared as strings, byte by byte.
//
// Which documents a write changes is judged before it changes the first. Whether a unique index allows it is judged document by document: a change
// that would end well, such as adding 1 to all of 1, 2 and 3, may meet a neighbour that has not been changed yet (conflict).
package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/onehost/edge/core/fault"
)

// Limits that hold in every engine.
const (
	MaxDocument = 15 << 20 // bytes of a document, as [Size] counts them
	MaxDepth    = 64       // levels of lists and documents in a document, itself counted
	MaxID       = 512      // bytes of an id
	MaxName     = 64       // bytes of a field's name that a path can reach, and of a collection's
	MaxFind     = 10_000   // documents that one Find returns
	MaxWrites   = 1_000    // writes of one Apply
	MaxSort     = 8        // fields that a query sorts by
	MaxValues   = 10_000   // values of an [In]
	MaxText     = 4 << 10  // bytes that a [Text] looks for
	MaxNodes    = 1_000    // conditions in a filter
	MaxNesting  = 32       // levels of conditions in a filter
)

// Timeout bounds a call whose context has no deadline. Watch and Run are not bound by it.
const Timeout = 10 * time.Second

// A Store keeps documents. All methods may be called at the same time.
type Store interface {
	// Ensure brings collections into being as they are described: what is missing is made, an index that is no longer described
	// is removed, documents stay. An index that what is there contradicts, by two documents or by a list, is a conflict. Nothing can be done with a collection
	// before (invalid). When the store is unavailable, it is made up for before the first call that needs the collection.
	Ensure(ctx context.Context, collections ...Collection) error

	// Collections are all that were ever brought into being here, by name.
	Collections(ctx context.Context) ([]Collection, error)

	// Get returns the document of that id, or not_found.
	Get(ctx context.Context, collection, id string) (Document, error)

	// Find returns the documents that q asks for, in its order. None is no error.
	Find(ctx context.Context, q Query) ([]Document, error)

	// Count returns how many documents meet the condition; nil is met by all.
	Count(ctx context.Context, collection string, f Filter) (int, error)

	// Apply carries out all writes, in their order, or none. It returns how many documents each has touched: what an update
	// leaves as it was counts.
	Apply(ctx context.Context, writes ...Write) (touched []int, err error)

	// Claim changes the first document that meets q, and returns it as it is then; not_found if there is none. Two that claim at
	// the same time never get the same document unless it meets q again after the first one's change. Skip, Limit and Fields of q are
	// not used.
	Claim(ctx context.Context, q Query, c Change) (Document, error)

	// Watch returns what happens to the documents of a collection that has a feed: all that is done after Watch has returned, or after
	// the event of that position when after is not "". A position that is older than what is kept is not_found: read the collection
	// anew. A write that leaves a document as it was may tell nothing. A collection without a feed is invalid. Ending the context ends the feed.
	Watch(ctx context.Context, collection, after string) (Feed, error)

	// Ready returns nil when the store can be read and written to now, unavailable when it can't be at the moment, and another error
	// when a person has to do something about it, which the error says.
	Ready(ctx context.Context) error

	// Check looks for damage, as far as that can be found, and says all that it finds. It may read everything and take its time.
	Check(ctx context.Context) error

	// Run does the store's own work, such as removing what has expired, until ctx ends. It returns when all that it started has ended.
	Run(ctx context.Context) error

	// Close gives back what opening took. Calls under way may fail.
	Close() error
}

// Collection describes a collection.
type Collection struct {
	Name    string // lower-case letters, digits, - and _, a letter first; not sqlite_…
	Indexes []Index
	Expire  string        // a field: a document whose time there is past is removed within two minutes. "": none is
	Feed    time.Duration // how long what happened can be read by Watch, at least, as far as the engine decides it; 0: no feed
	Private bool          // for edge's own eyes: kept where other users of the database have no access
}

// Index is a promise that documents are found quickly by these fields, and in their order. The fields of an index, and Expire,
// never hold lists or documents: a write that would have them do is invalid.
//
// That of a list index may hold anything. It promises no order, and that those documents are found quickly that a [Has] of the field asks for, or
// an [Or] of such, or a [Related] that has it as its By.
type Index struct {
	Fields []string // paths; of a unique index only fields of the document itself; of a list index one, and not id
	Unique bool     // no two documents with the same values. Documents in which one of them is null are not compared
	List   bool     `json:",omitempty"` // of the values of a list, never unique
}

// A Query asks for documents of one collection.
type Query struct {
	Collection string
	Filter     Filter // nil: all
	Sort       []Order
	Skip       int      // how many of the first to leave out
	Limit      int      // how many at most, 1 to MaxFind
	MaxBytes   int      // no more after the document that brings them to this [Size]; 0: no bound
	Fields     []string // of the document itself; id comes always. Nil: all
}

// Order sorts by the values of a field, in the order of [CompareValues]: lists and documents come where null does.
type Order struct {
	Field      string // a path
	Descending bool
}

// A Feed tells what happens to the documents of a collection, in the order in which it does.
type Feed interface {
	// Next waits for the next event. After an error, but for the end of ctx, the feed is at its end.
	Next(ctx context.Context) (Event, error)
	Close() error
}

// Event is one thing that happened to one document.
type Event struct {
	Kind     Kind
	ID       string
	Document Document // as it was right after, or since; nil when it has been deleted by now
	Position string   // opaque; what Watch takes to go on after this event
}

// Kind is what happened to a document.
type Kind string

// Kinds of events.
const (
	Inserted Kind = "inserted"
	Updated  Kind = "updated" // put or updated when it was there
	Deleted  Kind = "deleted"
)

// Duplicate is a conflict: a unique index has such a document already. Without fields it is the id that is taken.
type Duplicate struct {
	Collection string
	Fields     []string
}

func (d *Duplicate) Error() string {
	if len(d.Fields) == 0 {
		return fmt.Sprintf("%s: there is a document with this id", d.Collection)
	}
	return fmt.Sprintf("%s: there is a document with this %s", d.Collection, strings.Join(d.Fields, ", "))
}

// Unwrap makes it a conflict.
func (d *Duplicate) Unwrap() error { return fault.Conflict }
