package store

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/onehost/edge/core/fault"
)

// Match reports whether a document, as a store returns it, meets a valid condition at a time: package store's sentences, one after the other.
//
// related is asked whether a document of another collection meets a condition; that it is nil makes a [Related] invalid. Its error is returned.
func Match(d Document, f Filter, now time.Time, related func(collection string, f Filter) (bool, error)) (bool, error) {
	return matcher{now, related}.meets(d, f)
}

type matcher struct {
	now     time.Time
	related func(collection string, f Filter) (bool, error)
}

func (m matcher) meets(d Document, f Filter) (bool, error) {
	switch f := f.(type) {
	case nil:
		return true, nil
	case And:
		for _, one := range f {
			if ok, err := m.meets(d, one); !ok || err != nil {
				return false, err
			}
		}
		return true, nil
	case Or:
		for _, one := range f {
			if ok, err := m.meets(d, one); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	case Not:
		ok, err := m.meets(d, f.Filter)
		return !ok && err == nil, err
	case Compare:
		return m.compares(d.At(f.Field), f.Op, f.Value), nil
	case In:
		return slices.ContainsFunc(f.Values, func(one any) bool { return m.compares(d.At(f.Field), Equal, one) }), nil
	case Text:
		return hasText(d.At(f.Field), f), nil
	case Has:
		list, _ := d.At(f.Field).([]any)
		return slices.ContainsFunc(list, func(one any) bool { return m.compares(one, Equal, f.Value) }), nil
	case Some:
		return m.some(d, f)
	case Related:
		return m.refers(d, f)
	}
	return false, fmt.Errorf("%T is no condition: %w", f, fault.Invalid)
}

func (m matcher) some(d Document, f Some) (bool, error) {
	list, _ := d.At(f.Field).([]any)
	for _, one := range list {
		inner, nested := one.(Document)
		if !nested {
			continue
		}
		if ok, err := m.meets(inner, f.Filter); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// compares reports whether a value of a document compares so to one of a condition.
func (m matcher) compares(a any, op Op, b any) bool {
	if plus, ok := b.(Now); ok {
		b = m.now.Add(time.Duration(plus))
	}
	b, _ = NormalValue(b)
	if op == Equal {
		return equal(a, b)
	}
	c := CompareValues(a, b)
	return SameKind(a, b) && (op == Less && c < 0 || op == LessOrEqual && c <= 0 || op == Greater && c > 0 || op == GreaterOrEqual && c >= 0)
}

// equal reports whether two normal values are equal; lists and documents are equal to nothing.
func equal(a, b any) bool { return !isNested(a) && !isNested(b) && CompareValues(a, b) == 0 }

func hasText(v any, f Text) bool {
	s, ok := v.(string)
	value := f.Value
	if f.Fold {
		s, value = strings.Map(fold, s), strings.Map(fold, value)
	}
	switch f.Op {
	case Whole:
		return ok && s == value
	case Contains:
		return ok && strings.Contains(s, value)
	case Prefix:
		return ok && strings.HasPrefix(s, value)
	case Suffix:
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

// maxAsked is how many references one question has: each is a condition, and a filter has at most MaxNodes of them.
const maxAsked = 200

// refers asks for a document that one of the references leads to.
func (m matcher) refers(d Document, f Related) (bool, error) {
	if m.related == nil {
		return false, fmt.Errorf("related documents in %s can't be looked at here: %w", f.Collection, fault.Invalid)
	}
	for values := range slices.Chunk(references(d.At(f.Field)), maxAsked) {
		to := Filter(In{"id", values})
		if f.By != "" && f.By != "id" {
			by := Or{In{f.By, values}}
			for _, v := range values {
				by = append(by, Has{f.By, v})
			}
			to = by
		}
		if f.Filter != nil {
			to = And{to, f.Filter}
		}
		if ok, err := m.related(f.Collection, to); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// references are the values by which documents refer to one another: one, or those of a list.
func references(v any) []any {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	return slices.DeleteFunc(slices.Clone(list), func(one any) bool { return one == nil || isNested(one) })
}
