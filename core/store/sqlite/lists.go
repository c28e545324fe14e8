package sqlite

import (
	"maps"
	"slices"
	"strings"

	"github.com/onehost/edge/core/store"
)

// Conditions on what a document's lists hold, and on the documents that it refers to.

// listed are the values of a list, in a FROM.
type listed struct {
	at    string // the arguments that lead to the list
	alias string
}

func (c *condition) list(s scope, path string) listed {
	if s.id != "" && (path == "id" || strings.HasPrefix(path, "id.")) {
		s.json = "NULL"
	}
	return listed{s.json + "," + quotePath(path), c.alias()}
}

func (l listed) from() string { return "json_each(" + l.at + ") AS " + l.alias }

// anyOf holds when a list has one of the values: what an Or of several Has is, where there is a list index.
type anyOf struct {
	store.Has
	values []any
}

// gathered returns the conditions of an Or, those of one list index as one: SQLite looks up so many ids at once, and not one condition after the other for each
// document.
func (s scope) gathered(or store.Or) []store.Filter {
	if s.collection == nil || len(s.collection.lists) == 0 {
		return or
	}
	var all []store.Filter
	values := make(map[string][]any)
	for _, one := range or {
		has, ok := one.(store.Has)
		if _, listed := s.collection.lists[has.Field]; !ok || !listed {
			all = append(all, one)
			continue
		}
		values[has.Field] = append(values[has.Field], has.Value)
	}
	for _, field := range slices.Sorted(maps.Keys(values)) {
		all = append(all, anyOf{store.Has{Field: field}, values[field]})
	}
	return all
}

// has writes that a list has a value.
func (c *condition) has(s scope, f store.Has) {
	if index, ok := s.listIndex(f.Field); ok {
		c.WriteString(s.id + " IN (SELECT id FROM " + index.quoted() + " WHERE value=")
		c.bind(c.normalOperand(f.Value))
		c.WriteString(" AND listed)")
		return
	}
	l := c.list(s, f.Field)
	c.WriteString("EXISTS (SELECT 1 FROM " + l.from() + " WHERE json_type(" + l.at + ")='array' AND " + l.alias + ".type NOT IN ('array','object') AND " + l.alias + ".value=")
	c.bind(c.normalOperand(f.Value))
	c.WriteByte(')')
}

func (c *condition) any(s scope, f anyOf) {
	index, _ := s.listIndex(f.Field)
	c.WriteString(s.id + " IN (SELECT id FROM " + index.quoted() + " WHERE ")
	c.in(field{expression: "value"}, f.values)
	c.WriteString(" AND listed)")
}

// listIndex is the list index of a field of the document itself, if there is one.
func (s scope) listIndex(path string) (listIndex, bool) {
	if s.collection == nil {
		return listIndex{}, false
	}
	index, ok := s.collection.lists[path]
	return index, ok
}

// exists writes that there is a document, in a list or in another collection where it can be looked up. Of conditions that are right within one
// another it makes one join: SQLite has a limit to how deep one query may be within another.
func (c *condition) exists(s scope, f store.Filter) error {
	var from, where []string
	for inner := true; inner; {
		switch one := f.(type) {
		case store.Some:
			l := c.list(s, one.Field)
			from = append(from, l.from())
			where = append(where, "json_type("+l.at+")='array'", l.alias+".type='object'")
			s, f = scope{json: l.alias + ".value"}, one.Filter
		case store.Related:
			other := c.collections[one.Collection]
			if inner = other.findsBy(by(one)) && !other.few(one.Filter); !inner {
				break
			}
			refers := s.field(one.Field).expression
			if s.field(one.Field).nested != "" {
				l := c.list(s, one.Field)
				from = append(from, l.from())
				where = append(where, l.references())
				refers = l.alias + ".value"
			}
			t := c.alias()
			if index, ok := other.lists[by(one)]; ok {
				v := c.alias()
				from = append(from, index.quoted()+" AS "+v)
				where = append(where, v+".value="+refers, t+".id="+v+".id")
			} else {
				where = append(where, other.scope(t).field(by(one)).expression+"="+refers)
			}
			from = append(from, other.quoted()+" AS "+t)
			s, f = other.scope(t), one.Filter
		default:
			inner = false
		}
	}
	c.WriteString("EXISTS (SELECT 1 FROM " + strings.Join(from, " CROSS JOIN ") + " WHERE " + strings.Join(where, " AND ") + " AND ")
	if err := c.write(s, f); err != nil {
		return err
	}
	return c.WriteByte(')')
}

// references is the condition that a value is one by which a document refers: a field's own, or one of its list.
func (l listed) references() string {
	return "json_type(" + l.at + ")<>'object' AND " + l.alias + ".type NOT IN ('array','object','null')"
}

// among writes that a document refers to one that can't be looked up, or to one of a few: all values by which those are referred to are collected first.
func (c *condition) among(s scope, f store.Related) error {
	other := c.collections[f.Collection]
	set := &condition{now: c.now, collections: c.collections, sets: c.sets}
	t := c.alias()
	there := other.scope(t)
	set.WriteString(t + "s(value) AS MATERIALIZED (SELECT ")
	if key := there.field(by(f)); key.nested == "" {
		set.WriteString(key.expression + " FROM " + other.quoted() + " AS " + t + " WHERE " + key.expression + " IS NOT NULL AND ")
	} else {
		values := c.list(there, by(f))
		set.WriteString(values.alias + ".value FROM " + other.quoted() + " AS " + t + " CROSS JOIN " + values.from() + " WHERE " + values.references() + " AND ")
	}
	if err := set.write(there, f.Filter); err != nil {
		return err
	}
	set.WriteByte(')')
	c.sets.sql = append(c.sets.sql, set.String())
	c.sets.args = append(c.sets.args, set.args...)

	refers := s.field(f.Field)
	if refers.nested == "" {
		c.WriteString(refers.expression + " IN (SELECT value FROM " + t + "s)")
		return nil
	}
	if index, ok := s.listIndex(f.Field); ok {
		c.WriteString(s.id + " IN (SELECT id FROM " + index.quoted() + " WHERE value IN (SELECT value FROM " + t + "s))")
		return nil
	}
	l := c.list(s, f.Field)
	c.WriteString("EXISTS (SELECT 1 FROM " + l.from() + " WHERE " + l.references() + " AND " + l.alias + ".value IN (SELECT value FROM " + t + "s))")
	return nil
}

// findsBy reports whether the documents that are referred to by a field are found quickly.
func (col *collection) findsBy(field string) bool {
	_, listed := col.lists[field]
	return col.found[field] || listed
}

// few reports whether a condition is met by a few documents, which are found quickly: it asks for an id, for all fields of a unique index, for the only field of another
// index, or for a value in a list. They are found first then, and from there those that refer to them, so that it takes no longer where there are many of these.
func (col *collection) few(f store.Filter) bool {
	equal := map[string]bool{}
	for _, one := range conjuncts(f) {
		switch one := one.(type) {
		case store.Compare:
			equal[one.Field] = equal[one.Field] || one.Op == store.Equal && one.Value != nil
		case store.In:
			if one.Field == "id" {
				return true
			}
		case store.Has:
			if _, ok := col.lists[one.Field]; ok {
				return true
			}
		}
	}
	for _, index := range col.indexes {
		all := index.Unique || len(index.Fields) == 1
		if all && !slices.ContainsFunc(index.Fields, func(field string) bool { return !equal[field] }) {
			return true
		}
	}
	return equal["id"]
}

// conjuncts are the conditions that all have to hold.
func conjuncts(f store.Filter) (all []store.Filter) {
	and, ok := f.(store.And)
	if !ok {
		return []store.Filter{f}
	}
	for _, one := range and {
		all = append(all, conjuncts(one)...)
	}
	return all
}

// by is the field of the other documents by which they are referred to.
func by(f store.Related) string {
	if f.By == "" {
		return "id"
	}
	return f.By
}
