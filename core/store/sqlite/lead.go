package sqlite

import (
	"context"
	"slices"
	"time"

	"github.com/onehost/edge/core/store"
)

// A lead is a condition by which the documents are found first, before any other is looked at: that a list has a value, that a field of an index is one
// of several, or is equal to one and others are too. SQLite keeps no statistics here, and takes a field such as a status, which thousands share, for what finds ten documents. So it is counted what a
// condition leads to, as far as fewMatches: where these are more, the order of the query is likely to come by what it asks for soon.
type lead struct {
	at     int    // its place among the conjuncts
	filter string // on a document, t0, and what is led by
	from   string // what leads, as "lead"
	arg    any    // bound in from
	equal  []int  // conjuncts that lead to the same place of an index
	many   bool   // whether it leads to too many, and each document is asked for the value instead
}

// fewMatches are so many that finding all of them takes no longer than looking through a page or two of others.
const fewMatches = 500

// led is a condition that holds by how the documents are found.
type led struct {
	store.Filter
	sql string
}

// beside is a comparison that no index is looked at for: the plus says so.
type beside struct{ store.Compare }

// leads are the conditions that may lead. There are none where an index finds the documents by what they have to be equal to, or where there is nothing else that a
// document has to meet.
func (col *collection) leads(now time.Time, f store.Filter) (all []lead) {
	if _, ok := f.(store.And); !ok {
		return nil
	}
	conditions := conjuncts(f)
	equal, may := col.equal(conditions)
	if !may || col.sharp(equal) {
		return nil
	}
	c := &condition{now: now}
	for i, one := range conditions {
		if one, ok := one.(store.Compare); ok && len(equal) > 1 && equal[one.Field] == i && col.only(one.Field) {
			return c.leadOfField(col, i, store.In{Field: one.Field, Values: []any{one.Value}}, nil)
		}
	}
	for i, one := range conditions {
		switch one := one.(type) {
		case store.Has:
			all = append(all, c.leadOfList(col, i, one.Field, one.Value)...)
		case store.Or:
			if gathered := col.scope("t0").gathered(one); len(gathered) == 1 {
				if one, ok := gathered[0].(anyOf); ok {
					all = append(all, c.leadOfList(col, i, one.Field, one.values...)...)
				}
			}
		case store.In:
			all = append(all, c.leadOfField(col, i, one, equal)...)
		}
	}
	return all
}

// equal returns the fields that have to be equal to something, with their places among the conditions, and whether any of these may lead.
func (col *collection) equal(conditions []store.Filter) (equal map[string]int, may bool) {
	for i, one := range conditions {
		switch one := one.(type) {
		case store.Compare:
			if one.Op != store.Equal || one.Value == nil {
				continue
			}
			if equal == nil {
				equal = make(map[string]int)
			}
			equal[one.Field] = i
			may = may || col.only(one.Field)
		case store.In:
			if may = true; one.Field == "id" {
				return nil, false
			}
		case store.Has, store.Or:
			may = may || len(col.lists) > 0
		}
	}
	return equal, may
}

func (c *condition) leadOfList(col *collection, at int, field string, values ...any) []lead {
	index, ok := col.lists[field]
	if !ok {
		return nil
	}
	arg, _, _ := c.values(values)
	return []lead{{
		at: at, filter: "t0.id=lead.id", arg: arg,
		from: "(SELECT DISTINCT id FROM " + index.quoted() + " WHERE value IN (SELECT value FROM json_each(?)) AND listed) AS lead",
	}}
}

// leadOfField is the lead of a field that an index has after nothing but what has to be equal.
func (c *condition) leadOfField(col *collection, at int, in store.In, equal map[string]int) []lead {
	arg, null, _ := c.values(in.Values)
	if null {
		return nil
	}
	for _, index := range col.Indexes {
		place := slices.Index(index.Fields, in.Field)
		if place < 0 || index.List {
			continue
		}
		l := lead{at: at, filter: col.scope("t0").field(in.Field).expression + "=lead.value", from: "(SELECT DISTINCT value FROM json_each(?)) AS lead", arg: arg}
		for _, field := range index.Fields[:place] {
			if i, ok := equal[field]; ok {
				l.equal = append(l.equal, i)
			}
		}
		if len(l.equal) == place {
			return []lead{l}
		}
	}
	return nil
}

// sharp reports whether what has to be equal is the beginning of an index that no other begins with, beyond its first field, or all of one.
func (col *collection) sharp(equal map[string]int) bool {
	if _, ok := equal["id"]; ok {
		return true
	}
	for name, index := range col.indexes {
		n := 0
		for _, field := range index.Fields {
			if _, ok := equal[field]; !ok {
				break
			}
			n++
		}
		shared := false
		for other, o := range col.indexes {
			shared = shared || other != name && len(o.Fields) >= n && slices.Equal(o.Fields[:n], index.Fields[:n])
		}
		whole := n == len(index.Fields) && (n > 1 || index.Unique || len(equal) == 1)
		if whole || n > 1 && !shared {
			return true
		}
	}
	return false
}

// only reports whether there is an index of a field alone, and it is not unique.
func (col *collection) only(field string) bool {
	return slices.ContainsFunc(col.Indexes, func(index store.Index) bool {
		return !index.Unique && !index.List && len(index.Fields) == 1 && index.Fields[0] == field
	})
}

// asked is whether a list has a value, looked up for one document after the other.
type asked struct{ store.Has }

func (c *condition) asked(s scope, f asked) {
	index, _ := s.listIndex(f.Field)
	c.WriteString("(SELECT listed FROM " + index.quoted() + " WHERE value=")
	c.bind(c.normalOperand(f.Value))
	c.WriteString(" AND id=" + s.id + ")")
}

// begin writes where the documents come from, and returns the condition that is left of f.
func (l *lead) begin(c *condition, col *collection, f store.Filter) store.Filter {
	c.WriteString(" FROM ")
	if l != nil && l.many {
		all := slices.Clone(conjuncts(f))
		all[l.at] = asked{all[l.at].(store.Has)}
		f = store.And(all)
	} else if l != nil {
		c.WriteString(l.from + " CROSS JOIN ")
		c.args = append(c.args, l.arg)
		all := slices.Clone(conjuncts(f))
		for i, one := range all {
			if one, ok := one.(store.Compare); ok && !slices.Contains(l.equal, i) {
				all[i] = beside{one}
			}
		}
		all[l.at] = led{sql: l.filter}
		f = store.And(all)
	}
	c.WriteString(col.quoted() + " AS t0 WHERE ")
	return f
}

// isFew reports whether to find n documents and sort them takes less than to look through all of them in order until the limit is reached: where the n are spread
// evenly that is after limit in n of all. To find one takes as long as to pass by about eight.
func isFew(n, of, limit int64) bool {
	const found = 8
	looked := of
	if limit > 0 && limit < n {
		looked = of * limit / n
	}
	return n < fewMatches && n*found <= looked
}

// leadOf returns the first lead to few documents; nil if there is none and nothing else to do about it. limit is how many are asked for, 0 if all are.
func leadOf(ctx context.Context, on *conn, col *collection, now time.Time, f store.Filter, limit int) (*lead, error) {
	conditions := conjuncts(f)
	var many *lead
	for _, l := range col.leads(now, f) {
		c := newCondition(now, nil)
		c.WriteString(" FROM " + l.from)
		c.args = append(c.args, l.arg)
		if len(l.equal) > 0 {
			where := store.And{led{sql: l.filter}}
			for _, i := range l.equal {
				where = append(where, conditions[i])
			}
			c.WriteString(" CROSS JOIN " + col.quoted() + " AS t0 WHERE ")
			if err := c.write(col.scope("t0"), where); err != nil {
				return nil, err
			}
		}
		c.WriteString(" LIMIT ")
		c.bind(fewMatches)
		sql, args := c.statement("SELECT count(*),(SELECT max(rowid) FROM " + col.quoted() + ") FROM (SELECT 1")
		var n, of int64
		err := on.rows(ctx, sql+")", args, func(r row) error {
			n, of = r.int(0), r.int(1)
			return nil
		})
		if err != nil || isFew(n, of, int64(limit)) {
			return &l, err
		}
		if _, ok := conditions[l.at].(store.Has); ok && many == nil {
			many = &lead{at: l.at, many: true}
		}
	}
	return many, nil
}
