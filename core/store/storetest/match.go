package storetest

import (
	"slices"
	"strings"
	"time"

	"github.com/onehost/edge/core/store"
)

// view is what a call sees: all documents, and what time it is.
type view struct {
	kept kept
	now  time.Time
}

// meets reports whether a condition holds.
func (v view) meets(d store.Document, f store.Filter) bool {
	ok, _ := store.Match(d, f, v.now, v.related) // which v.related alone could fail
	return ok
}

func (v view) related(collection string, f store.Filter) (bool, error) {
	for _, other := range v.kept[collection] {
		if v.meets(other, f) {
			return true, nil
		}
	}
	return false, nil
}

// find returns the documents that meet a query's condition, in its order.
func (v view) find(q store.Query) []store.Document {
	var found []store.Document
	for _, d := range v.kept[q.Collection] {
		if v.meets(d, q.Filter) {
			found = append(found, d)
		}
	}
	slices.SortFunc(found, func(a, b store.Document) int {
		for _, by := range q.Sort {
			c := store.CompareValues(a.At(by.Field), b.At(by.Field))
			if by.Descending {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		c := strings.Compare(a.ID(), b.ID())
		if n := len(q.Sort); n > 0 && q.Sort[n-1].Descending {
			c = -c
		}
		return c
	})
	return found
}

// bounded returns how many of the documents come, where no more than so many bytes may: 0 bounds nothing.
func bounded(found []store.Document, bytes int) int {
	sum := 0
	for i, d := range found {
		if sum += store.Size(d); bytes > 0 && sum >= bytes {
			return i + 1
		}
	}
	return len(found)
}

// collections are those that a condition looks at.
func collections(f store.Filter) []string {
	var names []string
	switch f := f.(type) {
	case store.And:
		for _, one := range f {
			names = append(names, collections(one)...)
		}
	case store.Or:
		for _, one := range f {
			names = append(names, collections(one)...)
		}
	case store.Not:
		return collections(f.Filter)
	case store.Related:
		return append(collections(f.Filter), f.Collection)
	}
	return names
}
