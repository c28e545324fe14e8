package mongodb

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/onehost/edge/core/store"
)

// pipeline is the stages of an aggregation.
type pipeline = []bson.D

// translator turns conditions on the documents of one collection into MongoDB's.
//
// MongoDB's conditions on a field hold as well when it, or something on its path, is a list and one of its values meets them. Ours
// don't: so they come with guards, which say that nothing there is a list. Where an index promises that already, there are none, and the
// condition is one that the index can be used for.
type translator struct {
	plain   paths
	others  func(collection string) paths
	lookups *pipeline // what looks up related documents for the conditions made so far
}

// paths are those that never lead to or through a list, by promise of the indexes. True are those that don't lead to a document either.
type paths map[string]bool

func plainPaths(c store.Collection) paths {
	plain := paths{"_id": true}
	for _, i := range indexesOf(c) {
		if i.list {
			continue
		}
		for _, path := range i.fields {
			for _, prefix := range withoutLast(path) {
				if !plain.noList(prefix) {
					plain[prefix] = false
				}
			}
			plain[path] = true
		}
	}
	return plain
}

func (p paths) noList(path string) bool {
	_, ok := p[path]
	return ok
}

// stored is what a path of a document is called in MongoDB.
func stored(path string) string {
	if first, rest, inner := strings.Cut(path, "."); first == "id" {
		if inner {
			return "_id." + rest
		}
		return "_id"
	}
	return path
}

// prefixes returns "a", "a.b", … and the path itself.
func prefixes(path string) []string {
	var all []string
	for i, r := range path {
		if r == '.' {
			all = append(all, path[:i])
		}
	}
	return append(all, path)
}

// match returns a condition for $match. What it needs of related documents has to be looked up first.
func (t translator) match(f store.Filter) bson.D {
	switch f := f.(type) {
	case store.And:
		if len(f) == 0 {
			return bson.D{}
		}
		return bson.D{{Key: "$and", Value: t.each(f)}}
	case store.Or:
		if len(f) == 0 {
			return never()
		}
		return bson.D{{Key: "$or", Value: t.each(f)}}
	case store.Not:
		return bson.D{{Key: "$nor", Value: bson.A{t.match(f.Filter)}}}
	case store.Compare:
		return t.compare(f)
	case store.In:
		return t.in(f)
	case store.Text:
		return t.guarded(stored(f.Field), textOperators(f))
	case store.Has:
		path := stored(f.Field)
		v, _ := store.NormalValue(f.Value)
		one := bson.D{{Key: "$elemMatch", Value: bson.D{{Key: "$eq", Value: literal(v)}}}}
		return t.all(append(t.guards(withoutLast(path)), bson.D{{Key: path, Value: one}}))
	case store.Some:
		return bson.D{{Key: "$expr", Value: expressions{at: "$"}.some(stored(f.Field), f.Filter)}}
	case store.Related:
		return t.related(f)
	}
	return bson.D{}
}

func never() bson.D { return bson.D{{Key: "$nor", Value: bson.A{bson.D{}}}} }

func (t translator) each(filters []store.Filter) bson.A {
	all := make(bson.A, len(filters))
	for i, f := range filters {
		all[i] = t.match(f)
	}
	return all
}

func (t translator) all(conditions []bson.D) bson.D {
	if len(conditions) == 1 {
		return conditions[0]
	}
	return bson.D{{Key: "$and", Value: conditions}}
}

func (t translator) compare(f store.Compare) bson.D {
	path := stored(f.Field)
	if plus, ok := f.Value.(store.Now); ok {
		return t.compareNow(path, f.Op, plus)
	}
	v, _ := store.NormalValue(f.Value)
	if v == nil {
		return t.null(path)
	}
	return t.guarded(path, bson.D{{Key: operator(f.Op), Value: literal(v)}})
}

func operator(op store.Op) string {
	switch op {
	case store.Less:
		return "$lt"
	case store.LessOrEqual:
		return "$lte"
	case store.Greater:
		return "$gt"
	case store.GreaterOrEqual:
		return "$gte"
	default:
		return "$eq"
	}
}

// compareNow compares with the server's clock. $expr compares values of all kinds, so that the field is a time is said apart.
func (t translator) compareNow(path string, op store.Op, plus store.Now) bson.D {
	isTime := bson.D{{Key: "$gte", Value: bson.DateTime(math.MinInt64)}, {Key: "$lte", Value: bson.DateTime(math.MaxInt64)}}
	compared := bson.D{{Key: operator(op), Value: bson.A{"$" + path, now(plus)}}}
	return bson.D{{Key: "$and", Value: bson.A{t.guarded(path, isTime), bson.D{{Key: "$expr", Value: compared}}}}}
}

// now is the expression of a time by the server's clock.
func now(plus store.Now) any {
	if plus == 0 {
		return "$$NOW"
	}
	return bson.D{{Key: "$add", Value: bson.A{"$$NOW", time.Duration(plus).Milliseconds()}}}
}

// null holds where the path leads to null, to nothing, or through anything but documents.
func (t translator) null(path string) bson.D {
	isNull := t.value(path, bson.D{{Key: "$eq", Value: nil}})
	ways := bson.A{}
	for _, prefix := range withoutLast(path) {
		if !t.plain.noList(prefix) {
			ways = append(ways, bson.D{{Key: prefix, Value: bson.D{{Key: "$type", Value: "array"}}}})
		}
	}
	if len(ways) == 0 {
		return isNull
	}
	return bson.D{{Key: "$or", Value: append(ways, isNull)}}
}

func (t translator) in(f store.In) bson.D {
	path, values, null := stored(f.Field), bson.A{}, false
	for _, v := range f.Values {
		v, _ = store.NormalValue(v)
		if v == nil {
			null = true
			continue
		}
		values = append(values, literal(v))
	}
	among := t.guarded(path, bson.D{{Key: "$in", Value: values}})
	if null {
		return bson.D{{Key: "$or", Value: bson.A{among, t.null(path)}}}
	}
	return among
}

// guarded is a condition on the value of a path that has no lists in it.
func (t translator) guarded(path string, operators bson.D) bson.D {
	return t.all(append(t.guards(withoutLast(path)), t.value(path, operators)))
}

// value is a condition on a value that is no list.
func (t translator) value(path string, operators bson.D) bson.D {
	if !t.plain.noList(path) {
		operators = append(operators, noList)
	}
	return bson.D{{Key: path, Value: operators}}
}

func (t translator) guards(paths []string) []bson.D {
	var all []bson.D
	for _, path := range paths {
		if !t.plain.noList(path) {
			all = append(all, bson.D{{Key: path, Value: bson.D{noList}}})
		}
	}
	return all
}

var noList = bson.E{Key: "$not", Value: bson.D{{Key: "$type", Value: "array"}}}

// withoutLast returns the prefixes of a path without the path.
func withoutLast(path string) []string {
	all := prefixes(path)
	return all[:len(all)-1]
}

// sortKeys returns what to sort by: names and directions, and the stages that make names for what can't be sorted by as it is, because
// lists and documents have to come where null does.
func (t translator) sortKeys(by []store.Order) (keys bson.D, computed pipeline) {
	named := func(path string) func(bson.E) bool { return func(e bson.E) bool { return e.Key == path } }
	var made bson.D
	last := store.Order{Field: "id"}
	if n := len(by); n > 0 {
		last.Descending = by[n-1].Descending
	}
	for i, o := range append(slices.Clip(by), last) {
		path, direction := stored(o.Field), 1
		if o.Descending {
			direction = -1
		}
		if !t.plain[path] {
			name := hidden("s", i)
			made = append(made, bson.E{Key: name, Value: expressions{at: "$"}.comparable(path)})
			path = name
		}
		if !slices.ContainsFunc(keys, named(path)) {
			keys = append(keys, bson.E{Key: path, Value: direction})
		}
		if path == "_id" {
			break
		}
	}
	if made != nil {
		computed = pipeline{{{Key: "$addFields", Value: made}}}
	}
	return keys, computed
}

// hidden names a field that exists only on the way through a pipeline. No field of ours begins with a digit.
func hidden(what string, i int) string { return "0" + what + strconv.Itoa(i) }
