package sqlite

import (
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

// has writes that a list has a value.
func (c *condition) has(s scope, f store.Has) {
	l := c.list(s, f.Field)
	c.WriteString("EXISTS (SELECT 1 FROM " + l.from() + " WHERE json_type(" + l.at + ")='array' AND " + l.alias + ".type NOT IN ('array','object') AND " + l.alias + ".value=")
	c.bind(c.normalOperand(f.Value))
	c.WriteByte(')')
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
			if inner = other.found[by(one)]; !inner {
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
			from = append(from, other.quoted()+" AS "+t)
			s, f = other.scope(t), one.Filter
			where = append(where, s.field(by(one)).expression+"="+refers)
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

// among writes that a document refers to one that can't be looked up: all values by which those are referred to are collected first.
func (c *condition) among(s scope, f store.Related) error {
	other := c.collections[f.Collection]
	set := &condition{now: c.now, collections: c.collections, sets: c.sets}
	t := c.alias()
	there := other.scope(t)
	values := c.list(there, by(f))
	set.WriteString(t + "s(value) AS MATERIALIZED (SELECT " + values.alias + ".value FROM " + other.quoted() + " AS " + t + " CROSS JOIN " + values.from() + " WHERE " + values.references() + " AND ")
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
	l := c.list(s, f.Field)
	c.WriteString("EXISTS (SELECT 1 FROM " + l.from() + " WHERE " + l.references() + " AND " + l.alias + ".value IN (SELECT value FROM " + t + "s))")
	return nil
}

// by is the field of the other documents by which they are referred to.
func by(f store.Related) string {
	if f.By == "" {
		return "id"
	}
	return f.By
}
