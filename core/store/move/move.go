// Package move brings all that one store keeps into another one, to move house: from the file of a single host into a replica set, or back.
//
// In come two stores. The one that is copied to is empty, or a copy of the very same store that was interrupted: then it goes on
// where that ended, however that was. What the copy holds is proven by reading both stores once more.
//
// Nobody else writes to either meanwhile: edge is stopped. That something was written all the same is found out in the end, and said.
//
// # What is copied
//
// All collections with their documents, but not what concerns only those who are at work: leases, of which only their tokens go on
// ([lease.Carry]), and what the feeds have told. Positions of feeds mean nothing in another store.
//
// # How it is known how far a copy is
//
// In each of both stores there is a private collection, copies. In it the store copied from has an identity, and the other one whose copy
// it is, and of each collection how many documents are there, the id of the last and a hash: written together with the
// documents, so that they are true at any moment.
package move

import (
	"context"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/lease"
)

// patience bounds a call that may have to read a whole collection: counting, and making an index.
const patience = 6 * time.Hour

// Progress is how far a copy is with one collection.
type Progress struct {
	Collection string
	Verifying  bool  // all is copied, and read again
	Done       int   // documents
	Total      int   // documents
	Bytes      int64 // of those done, as [store.Size] counts them
}

// Report is what was copied, by the name of the collection.
type Report struct {
	Collections []Collection
}

// Collection is what was copied of one collection.
type Collection struct {
	Name      string
	Documents int
	Bytes     int64    // as [store.Size] counts them
	Hash      string   // of all documents in the order of their ids: 64 hexadecimal digits, in every store the same
	Expired   int      // documents whose time ran out during the copy, and that the store copied from no longer has
	Differ    int      // documents that are not the same in both stores
	Examples  []string // ids of some that differ, quoted
	Damaged   bool     // the store copied to does not hold what was written there
}

// Copy brings all that from keeps into to, and proves that it is there. Progress, which may be nil, is called after every batch.
//
// It is a conflict when to holds anything else, or when from was written to meanwhile; the error says which documents show it. An
// error without a code is damage. After any other error the same call goes on where it was.
//
// The report is also there with an error of what was found by reading both stores.
func Copy(ctx context.Context, from, to store.Store, progress func(Progress)) (Report, error) {
	if progress == nil {
		progress = func(Progress) {}
	}
	c := &copier{from: from, to: to, progress: progress, page: maxPage}
	return c.copy(ctx)
}

func (c *copier) copy(ctx context.Context) (Report, error) {
	collections, err := sources(ctx, c.from)
	if err != nil {
		return Report{}, fmt.Errorf("the store to copy from: %w", err)
	}
	stage, err := c.begin(ctx)
	if err != nil {
		return Report{}, err
	}
	var report Report
	if stage == copying {
		if report, err = c.copyAndVerify(ctx, collections); err != nil {
			return report, err
		}
	} else if report, err = c.verifyAgain(ctx, collections); err != nil {
		return report, err
	}
	return report, c.finish(ctx, collections)
}

type copier struct {
	from, to store.Store
	progress func(Progress)
	page     int  // documents that are read, and written, at a time, at most
	again    bool // what is verified was before, and what has expired may be gone from either store
}

// sources returns what there is to be copied.
func sources(ctx context.Context, from store.Store) ([]store.Collection, error) {
	all, err := from.Collections(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(c store.Collection) bool { return isOwn(c.Name) })
	return all, ensure(ctx, from, all...)
}

// isOwn holds for collections that are not copied.
func isOwn(name string) bool { return name == copies || name == lease.Collection().Name }

func ensure(ctx context.Context, s store.Store, collections ...store.Collection) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.Ensure(ctx, collections...)
}

// resting returns the collection as it is while it is copied: nothing expires, and nobody follows it.
func resting(c store.Collection) store.Collection {
	c.Expire, c.Feed = "", 0
	return c
}

func (c *copier) copyAndVerify(ctx context.Context, collections []store.Collection) (Report, error) {
	for _, one := range collections {
		if err := ensure(ctx, c.to, resting(one)); err != nil {
			return Report{}, fmt.Errorf("making the collection %s: %w", one.Name, err)
		}
		if err := c.copyDocuments(ctx, one.Name); err != nil {
			return Report{}, fmt.Errorf("copying %s: %w", one.Name, err)
		}
	}
	report, err := c.verifyAll(ctx, collections)
	if err != nil {
		return report, err
	}
	return report, c.enter(ctx, copying, verified)
}

// verifyAgain is for a copy that was verified and then interrupted: since then somebody may have gone on with the store copied from.
func (c *copier) verifyAgain(ctx context.Context, collections []store.Collection) (Report, error) {
	for _, one := range collections {
		if err := ensure(ctx, c.to, one); err != nil {
			return Report{}, fmt.Errorf("completing the collection %s: %w", one.Name, err)
		}
	}
	c.again = true
	return c.verifyAll(ctx, collections)
}

// verifyAll reads both stores. The error says all that it has found.
func (c *copier) verifyAll(ctx context.Context, collections []store.Collection) (Report, error) {
	var report Report
	var differ, damaged []string
	for _, one := range collections {
		found, err := c.verify(ctx, one)
		if err != nil {
			return report, fmt.Errorf("verifying %s: %w", one.Name, err)
		}
		report.Collections = append(report.Collections, found)
		switch {
		case found.Damaged:
			damaged = append(damaged, found.problem())
		case found.Differ > 0:
			differ = append(differ, found.problem())
		}
	}
	now, err := sources(ctx, c.from)
	switch {
	case err != nil:
		return report, err
	case len(damaged) > 0:
		return report, fmt.Errorf("the copy does not hold what was written into it: %s. Look for the reason, empty it and copy again", strings.Join(damaged, "; "))
	case len(differ) > 0:
		return report, fmt.Errorf("the store was written to while it was copied: %s. Stop edge, empty the copy and copy again: %w", strings.Join(differ, "; "), fault.Conflict)
	case !reflect.DeepEqual(now, collections):
		return report, fmt.Errorf("collections were made or changed while the store was copied. Stop edge, empty the copy and copy again: %w", fault.Conflict)
	}
	return report, nil
}

func (c Collection) problem() string {
	if c.Differ == 0 {
		return c.Name
	}
	return fmt.Sprintf("%s: %d documents, such as %s", c.Name, c.Differ, strings.Join(c.Examples, ", "))
}

// finish makes of what is verified a store to be used.
func (c *copier) finish(ctx context.Context, collections []store.Collection) error {
	for _, one := range collections {
		if err := ensure(ctx, c.to, one); err != nil {
			return fmt.Errorf("completing the collection %s: %w", one.Name, err)
		}
	}
	if err := lease.Carry(ctx, c.from, c.to); err != nil {
		return fmt.Errorf("carrying on the tokens of leases: %w", err)
	}
	return c.enter(ctx, verified, complete)
}

func (m mark) report(name string) Collection {
	return Collection{Name: name, Documents: m.documents, Bytes: m.bytes, Hash: hex.EncodeToString(m.sum)}
}
