package storetest

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/onehost/edge/core/store"
)

// view is what a call sees: all documents, and what time it is.
type view struct {
	kept kept
	now  time.Time
}

// meets reports whether a condition holds: package store's sentences, one after the other.
func (v view) meets(d store.Document, f store.Filter) bool {
	switch f := f.(type) {
	case nil:
		return true
	case store.And:
		return !slices.ContainsFunc(f, func(one store.Filter) bool { return !v.meets(d, one) })
	case store.Or:
		return slices.ContainsFunc(f, func(one store.Filter) bool { return v.meets(d, one) })
	case store.Not:
		return !v.meets(d, f.Filter)
	case store.Compare:
		return v.compares(d.At(f.Field), f.Op, f.Value)
	case store.In:
		return slices.ContainsFunc(f.Values, func(one any) bool { return v.compares(d.At(f.Field), store.Equal, one) })
	case store.Text:
		return hasText(d.At(f.Field), f)
	case store.Has:
		list, _ := d.At(f.Field).([]any)
		return slices.ContainsFunc(list, func(one any) bool { return v.compares(one, store.Equal, f.Value) })
	case store.Some:
		list, _ := d.At(f.Field).([]any)
		return slices.ContainsFunc(list, func(one any) bool {
			inner, ok := one.(store.Document)
			return ok && v.meets(inner, f.Filter)
		})
	case store.Related:
		return v.refers(d, f)
	}
	return false
}

// compares reports whether a value of a document compares so to one of a condition.
func (v view) compares(a any, op store.Op, b any) bool {
	if plus, ok := b.(store.Now); ok {
		b = v.now.Add(time.Duration(plus))
	}
	b, _ = store.NormalValue(b)
	if op == store.Equal {
		return equal(a, b)
	}
	c := store.CompareValues(a, b)
	return store.SameKind(a, b) && (op == store.Less && c < 0 || op == store.LessOrEqual && c <= 0 ||
		op == store.Greater && c > 0 || op == store.GreaterOrEqual && c >= 0)
}

// equal reports whether two normal values are equal; lists and documents are equal to nothing.
func equal(a, b any) bool { return !isNested(a) && !isNested(b) && store.CompareValues(a, b) == 0 }

func isNested(v any) bool {
	switch v.(type) {
	case []any, store.Document:
		return true
	}
	return false
}

func hasText(v any, f store.Text) bool {
	s, ok := v.(string)
	value := f.Value
	if f.Fold {
		s, value = strings.Map(fold, s), strings.Map(fold, value)
	}
	switch f.Op {
	case store.Whole:
		return ok && s == value
	case store.Contains:
		return ok && strings.Contains(s, value)
	case store.Prefix:
		return ok && strings.HasPrefix(s, value)
	case store.Suffix:
		return ok && strings.HasSuffix(s, value)
	}
	return false
}

// fold returns the least of the letters that are the same as r in simple case folding.
func fold(r rune) rune {
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return least
}

func (v view) refers(d store.Document, f store.Related) bool {
	by := cmp.Or(f.By, "id")
	for _, other := range v.kept[f.Collection] {
		for _, a := range references(d.At(f.Field)) {
			for _, b := range references(other.At(by)) {
				if equal(a, b) && v.meets(other, f.Filter) {
					return true
				}
			}
		}
	}
	return false
}

// references are the values by which documents refer to one another: one, or those of a list, and never null.
func references(v any) []any {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	return slices.DeleteFunc(slices.Clone(list), func(one any) bool { return one == nil })
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
