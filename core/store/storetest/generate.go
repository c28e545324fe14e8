package storetest

import (
	"time"

	"github.com/onehost/edge/core/store"
)

// draw makes things out of bytes: the same out of the same, and simple ones out of zeros, which is also what comes after the last byte.
// All fields and values are out of a few that collide often.
type draw struct {
	bytes []byte
	names [2]string // of the collections
	flat  bool      // whether fields have indexes: lists and documents are rare then where they are
}

// pick returns a number below n.
func (d *draw) pick(n int) int {
	if len(d.bytes) == 0 {
		return 0
	}
	b := d.bytes[0]
	d.bytes = d.bytes[1:]
	return int(b) % n
}

// one picks one of several, the first three more often than the others.
func one[T any](d *draw, of ...T) T {
	if d.pick(2) == 0 {
		return of[d.pick(min(3, len(of)))]
	}
	return of[d.pick(len(of))]
}

func (d *draw) id() string { return one(d, "1", "2", "3", "10", "a", "B", "é", "b") }

// scalar is no list, document or null.
func (d *draw) scalar() any {
	if d.pick(3) > 0 {
		return one[any](d, int64(1), 1.0, "a", "é", int64(1<<53+1), 0x1p53)
	}
	switch d.pick(12) {
	case 0, 1, 2:
		return one[any](d, int64(1), int64(0), int64(2), int64(-1), int64(1<<53), int64(1<<53+1), int64(1<<63-1), int64(-1<<63))
	case 3, 4:
		return one(d, 1.0, 0.0, 1.5, -1.0, 0x1p53, 0x1p63, -0x1p63, 5e-324)
	case 5, 6:
		return d.text()
	case 7:
		return d.id()
	case 8:
		return one(d, []byte{}, []byte{1}, []byte{0, 1}, []byte("1"))
	case 9:
		return one(d, false, true)
	}
	return one(d, epoch(), epoch().Add(time.Millisecond), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
}

func (d *draw) text() string {
	return one(d, "a", "A", "É", "é", "", "1", "ab", "b", "aB", "ſ", "s", "\u212a", "k", "%", "_", "a.b", "a%b", "a_b", "ß", "ẞ", "\\", "*", "a\nb", "$a")
}

func (d *draw) value(depth int) any {
	switch d.pick(8) {
	case 0, 1, 2, 3:
		return d.scalar()
	case 4:
		return nil
	case 5, 6:
		if depth > 0 {
			return d.list(depth - 1)
		}
	default:
		if depth > 0 {
			return d.document(depth - 1)
		}
	}
	return d.scalar()
}

// list is often one of documents.
func (d *draw) list(depth int) []any {
	list, documents := make([]any, d.pick(4)), d.pick(2) == 1
	for i := range list {
		list[i] = d.value(depth)
		if documents {
			inner := d.document(depth)
			inner[one(d, "a", "b")] = d.scalar()
			list[i] = inner
		}
	}
	return list
}

// document is one within another.
func (d *draw) document(depth int) store.Document {
	inner := make(store.Document)
	for range d.pick(4) {
		inner[one(d, "a", "b", "n", "d", "a.b", "$a", "")] = d.value(depth)
	}
	return inner
}

// field is the name and value of a field of a document itself.
func (d *draw) field() (name string, v any) {
	rare := d.flat && d.pick(16) != 15
	switch d.pick(8) {
	case 0, 1:
		name = one(d, "a", "b")
		if rare {
			return name, d.scalar()
		}
		return name, d.value(2)
	case 2:
		return "n", one[any](d, int64(1), int64(0), int64(-5), int64(2), int64(1<<63-1), nil, 1.0, "1")
	case 3:
		return "u", one[any](d, int64(1), "1", 1.0, nil, int64(2), true, "a", "A", []byte("1"), int64(3))
	case 4:
		return "l", d.list(2)
	case 5:
		inner := d.document(2)
		if _, list := inner["a"].([]any); rare && list {
			delete(inner, "a")
		}
		return "d", inner
	case 6:
		return "ref", d.id()
	}
	return "ref", []any{d.id(), one[any](d, nil, d.id(), d.scalar())}
}

// whole is a document with an id.
func (d *draw) whole() store.Document {
	whole := store.Document{"id": d.id()}
	for range 2 + d.pick(6) {
		name, v := d.field()
		whole[name] = v
	}
	return whole
}

func (d *draw) path() string {
	return one(d, "a", "b", "n", "u", "l", "d", "ref", "id", "d.a", "d.b", "l.a", "d.d.a", "a.a", "d.n", "none", "a.b")
}

// aimed is a path and a value that may well be there.
func (d *draw) aimed() (path string, v any) {
	if d.pick(4) == 3 {
		return d.path(), d.scalar()
	}
	path, v = d.field()
	for {
		inner, ok := v.(store.Document)
		if !ok {
			break
		}
		name := one(d, "a", "b", "n", "d")
		path, v = path+"."+name, inner[name]
	}
	if list, ok := v.([]any); ok {
		v = append(list, nil)[d.pick(len(list)+1)]
	}
	if v == nil || isNested(v) {
		v = d.scalar()
	}
	return path, v
}

// leaf is a condition without others in it, on a document or on one in a list.
func (d *draw) leaf(within bool) store.Filter {
	path, v := d.aimed()
	if within {
		path, v = one(d, "a", "b", "n", "d.a", "d", "none"), d.scalar()
	}
	switch d.pick(12) {
	case 0, 1, 2:
		return store.Eq(path, v)
	case 3, 4, 5:
		return store.Compare{Field: path, Op: one(d, store.LessOrEqual, store.Less, store.GreaterOrEqual, store.Greater), Value: v}
	case 6:
		return store.Null(path)
	case 7:
		return store.In{Field: path, Values: one(d, []any{v, d.scalar()}, []any{nil}, nil, []any{nil, v, d.scalar()})}
	case 8, 9:
		if text, ok := v.(string); ok {
			return store.Text{Field: path, Op: one(d, ops()...), Value: text, Fold: d.pick(2) == 1}
		}
		return store.Text{Field: one(d, "a", "id", "b", "u", "ref", "d.a"), Op: one(d, ops()...), Value: d.text(), Fold: d.pick(2) == 1}
	case 10:
		return store.Has{Field: one(d, "l", "ref", "a", path), Value: one(d, any(d.id()), v, d.scalar())}
	}
	return store.Compare{Field: path, Op: one(d, store.Less, store.Greater), Value: store.Now(0)}
}

// filter is a condition on a document of a collection, or of one in a list when within.
func (d *draw) filter(collection int, depth int, within bool) store.Filter {
	if depth == 0 {
		return d.leaf(within)
	}
	switch d.pick(16) {
	default:
		return d.leaf(within)
	case 9:
		return store.And(d.filters(collection, depth-1, within))
	case 10, 11:
		return store.Or(d.filters(collection, depth-1, within))
	case 12, 13:
		return store.Not{Filter: d.filter(collection, depth-1, within)}
	case 14:
		return store.Some{Field: one(d, "l", "l", "a", "b", "d.a", "d.b", "ref", "d"), Filter: d.filter(collection, depth-1, true)}
	case 15:
		if within {
			return store.Eq(d.path(), d.scalar())
		}
		return d.related(collection, depth-1)
	}
}

func (d *draw) related(collection, depth int) store.Filter {
	other := (collection + d.pick(4)) % 2
	related := store.Related{Field: one(d, "ref", "id", "a", "l", "n", "d.a", "u"), Collection: d.names[other], By: one(d, "", "ref", "id", "a", "l", "d.a", "u")}
	if d.pick(4) > 0 {
		related.Filter = d.filter(other, depth, false)
	}
	return related
}

func (d *draw) filters(collection, depth int, within bool) []store.Filter {
	filters := make([]store.Filter, (d.pick(8)+5)%8/2) // rarely none
	for i := range filters {
		filters[i] = d.filter(collection, depth, within)
	}
	return filters
}

func (d *draw) query(collection int) store.Query {
	q := store.Query{Collection: d.names[collection], Filter: d.filter(collection, 3, false), Limit: store.MaxFind}
	for range d.pick(3) {
		q.Sort = append(q.Sort, store.Order{Field: d.path(), Descending: d.pick(2) == 1})
	}
	switch d.pick(5) {
	case 4:
		q.MaxBytes = 1 + d.pick(256)
	case 1:
		q.Skip, q.Limit = d.pick(3), 1+d.pick(3)
	case 2:
		q.Fields = one(d, []string{}, []string{"a"}, []string{"id", "d", "n"})
	}
	return q
}

// change adds to n alone, on which there is no unique index: one document could meet another one that has not been added to yet.
func (d *draw) change() store.Change {
	c := store.Change{Set: make(store.Document)}
	for range d.pick(3) {
		name, v := d.field()
		c.Set[name] = v
	}
	if name := one(d, "a", "b", "u", "l", "d", "ref", "none"); d.pick(4) == 3 {
		delete(c.Set, name)
		c.Unset = []string{name}
	}
	if d.pick(3) == 2 {
		delete(c.Set, "n")
		c.Add = map[string]int64{"n": one(d, int64(1), -1, 0, 1<<63-1)}
	}
	return c
}

func (d *draw) write() store.Write {
	collection := d.pick(2)
	name := d.names[collection]
	switch d.pick(16) {
	default:
		return store.Put{Collection: name, Document: d.whole()}
	case 10:
		return store.Insert{Collection: name, Document: d.whole()}
	case 11, 12, 13, 14:
		return store.Update{Collection: name, Filter: d.filter(collection, 2, false), Change: d.change(), Must: max(0, d.pick(12)-10)}
	case 15:
		return store.Delete{Collection: name, Filter: d.filter(collection, 2, false), Must: max(0, d.pick(12)-10)}
	}
}

func isNested(v any) bool {
	switch v.(type) {
	case []any, store.Document:
		return true
	}
	return false
}
