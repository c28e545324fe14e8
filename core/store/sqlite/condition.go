package sqlite

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// condition writes a filter as SQL. Names of fields and collections, which store.CheckFilter has accepted and which have no quotes, are in
// its text; all values are bound to it. A condition that holds is true; one that doesn't is false or null.
type condition struct {
	strings.Builder
	args        []any
	now         time.Time
	collections map[string]*collection
	sets        *sets
}

// scope is where the paths of a condition begin.
type scope struct {
	json       string      // the column that has the document
	id         string      // the column that has its id; "" in a document within a list
	collection *collection // nil in a document within a list
}

// sets are queries that a statement begins with, named by WITH. Their results don't depend on the row, so they are made once.
type sets struct {
	sql     []string
	args    []any
	aliases int
}

func newCondition(now time.Time, collections map[string]*collection) *condition {
	return &condition{now: now, collections: collections, sets: new(sets)}
}

func (c *condition) alias() string {
	c.sets.aliases++
	return fmt.Sprintf("t%d", c.sets.aliases)
}

// statement returns a statement that begins so and goes on with what was written, and what is bound to it.
func (c *condition) statement(begin string, args ...any) (string, []any) {
	sql := begin + c.String()
	if len(c.sets.sql) > 0 {
		sql = "WITH " + strings.Join(c.sets.sql, ",") + " " + sql
	}
	return sql, slices.Concat(c.sets.args, args, c.args)
}

func (col *collection) scope(alias string) scope { return scope{alias + ".doc", alias + ".id", col} }

// field is what SQL has for a field: an expression, and whether it may be the text of a list or document.
type field struct {
	expression string
	nested     string // an expression that is the JSON type of the field, "" if it is never a list or document
}

func (s scope) field(path string) field {
	if s.id != "" && path == "id" {
		return field{expression: s.id}
	}
	if s.id != "" && strings.HasPrefix(path, "id.") {
		return field{expression: "NULL"}
	}
	at := s.json + "," + quotePath(path)
	f := field{expression: "json_extract(" + at + ")"}
	if s.collection == nil || !s.collection.plain[path] {
		f.nested = "json_type(" + at + ")"
	}
	return f
}

// quotePath writes a path for SQLite's JSON functions.
func quotePath(path string) string {
	return `'$."` + strings.ReplaceAll(path, ".", `"."`) + `"'`
}

func (c *condition) bind(v any) {
	c.WriteByte('?')
	c.args = append(c.args, v)
}

// write writes the condition, within brackets where there is need.
func (c *condition) write(s scope, f store.Filter) error {
	switch f := f.(type) {
	case nil:
		c.WriteByte('1')
		return nil
	case store.And:
		return c.join(s, bracketed(f), " AND ", '1')
	case store.Or:
		return c.join(s, s.gathered(f), " OR ", '0')
	case anyOf:
		c.any(s, f)
	case led:
		c.WriteString(f.sql)
	case asked:
		c.asked(s, f)
	case beside:
		of := s.field(f.Field)
		of.expression = "+" + of.expression
		c.compare(of, f.Op, f.Value)
	case between:
		c.between(s.field(f.Field), f.Compare)
	case store.Not:
		return c.not(s, f.Filter)
	case store.Compare:
		c.compare(s.field(f.Field), f.Op, f.Value)
	case store.In:
		c.in(s.field(f.Field), f.Values)
	case store.Text:
		c.text(s.field(f.Field), f)
	case store.Has:
		c.has(s, f)
	case store.Some:
		return c.exists(s, f)
	case store.Related:
		if other := c.collections[f.Collection]; other.findsBy(by(f)) && !other.few(f.Filter) {
			return c.exists(s, f)
		}
		return c.among(s, f)
	}
	return nil
}

// join writes the conditions as a tree that is as low as can be: SQLite has a limit to its height, but not to its size.
func (c *condition) join(s scope, filters []store.Filter, operator string, none byte) error {
	switch len(filters) {
	case 0:
		return c.WriteByte(none)
	case 1:
		return c.write(s, filters[0])
	}
	half := len(filters) / 2
	c.WriteByte('(')
	if err := c.join(s, filters[:half], operator, none); err != nil {
		return err
	}
	c.WriteString(operator)
	if err := c.join(s, filters[half:], operator, none); err != nil {
		return err
	}
	return c.WriteByte(')')
}

func (c *condition) not(s scope, f store.Filter) error {
	if twice, ok := f.(store.Not); ok {
		return c.write(s, twice.Filter)
	}
	if null, ok := f.(store.Compare); ok && null.Op == store.Equal && null.Value == nil {
		c.WriteString(s.field(null.Field).expression + " IS NOT NULL")
		return nil
	}
	c.WriteByte('(')
	if err := c.write(s, f); err != nil {
		return err
	}
	c.WriteString(" IS NOT TRUE)")
	return nil
}

// normalOperand returns what a value of a condition is for SQLite.
func (c *condition) normalOperand(v any) any {
	if plus, ok := v.(store.Now); ok {
		v = c.now.Add(time.Duration(plus))
	}
	v, _ = store.NormalValue(v) // which CheckFilter has accepted
	return operand(v)
}

// plainly adds that the field is no list or document, where it might be taken for a string.
func (c *condition) plainly(f field) {
	if f.nested != "" {
		c.WriteString(" AND " + f.nested + " NOT IN ('array','object')")
	}
}

// looksNested reports whether v may be equal to the text of a list or document.
func looksNested(v any) bool {
	s, ok := v.(string)
	return ok && s != "" && (s[0] == '[' || s[0] == '{')
}

func (c *condition) compare(f field, op store.Op, value any) {
	v := c.normalOperand(value)
	if v == nil {
		c.WriteString(f.expression + " IS NULL")
		return
	}
	c.WriteString("(" + f.expression + string(op))
	c.bind(v)
	first, after := bounds(v)
	less, greater := op == store.Less || op == store.LessOrEqual, op == store.Greater || op == store.GreaterOrEqual
	if less && first != nil {
		c.WriteString(" AND " + f.expression + ">=")
		c.bind(first)
	}
	if greater && after != nil {
		c.WriteString(" AND " + f.expression + "<")
		c.bind(after)
	}
	if op != store.Equal && first == "" || looksNested(v) {
		c.plainly(f)
	}
	c.WriteByte(')')
}

// bounds returns the first value of v's kind, and the first that comes after the kind, nil where no others are on that side.
func bounds(v any) (first, after any) {
	s, ok := v.(string)
	switch {
	case !ok:
		return nil, ""
	case strings.HasPrefix(s, bytesMark):
		return bytesMark, boolMark
	case strings.HasPrefix(s, boolMark):
		return boolMark, timeMark
	case strings.HasPrefix(s, timeMark):
		return timeMark, nil
	}
	return "", mark
}

// between is a comparison beside another one from the other side, with a value of the same kind: neither has to keep to the kind then. SQLite uses one
// condition of each side to find the documents by, and takes the first.
type between struct{ store.Compare }

// bracketed returns conditions that all have to hold, with those in it that make a between.
func bracketed(all []store.Filter) []store.Filter {
	const above, below = 1, 2
	type span struct {
		value any
		sides int
		mixed bool
	}
	side := func(f store.Filter) (c store.Compare, side int) {
		switch c, _ = f.(store.Compare); c.Op {
		case store.Greater, store.GreaterOrEqual:
			return c, above
		case store.Less, store.LessOrEqual:
			return c, below
		case store.Equal:
		}
		return c, 0
	}
	var spans map[string]span
	for _, f := range all {
		c, n := side(f)
		if n == 0 {
			continue
		}
		if spans == nil {
			spans = make(map[string]span, 1)
		}
		s := spans[c.Field]
		spans[c.Field] = span{c.Value, s.sides | n, s.mixed || s.sides != 0 && !sameKind(s.value, c.Value)}
	}
	copied := false
	for i, f := range all {
		c, n := side(f)
		if s := spans[c.Field]; n == 0 || s.mixed || s.sides != above|below {
			continue
		}
		if !copied {
			all, copied = slices.Clone(all), true
		}
		all[i] = between{c}
	}
	return all
}

func sameKind(a, b any) bool {
	kind := func(v any) any {
		if _, ok := v.(store.Now); ok {
			return time.Time{}
		}
		v, _ = store.NormalValue(v)
		return v
	}
	return store.SameKind(kind(a), kind(b))
}

func (c *condition) between(f field, one store.Compare) {
	v := c.normalOperand(one.Value)
	c.WriteString("(" + f.expression + string(one.Op))
	c.bind(v)
	if first, _ := bounds(v); first == "" {
		c.plainly(f)
	}
	c.WriteByte(')')
}

// values writes normal operands as a list, without nulls.
func (c *condition) values(values []any) (list []byte, null, nested bool) {
	list = []byte{'['}
	for _, v := range values {
		v = c.normalOperand(v)
		if v == nil {
			null = true
			continue
		}
		if len(list) > 1 {
			list = append(list, ',')
		}
		list = appendValue(list, v)
		nested = nested || looksNested(v)
	}
	return append(list, ']'), null, nested
}

// in binds the values as one list, so that the statement is the same for any number of them.
func (c *condition) in(f field, values []any) {
	list, null, nested := c.values(values)
	if null {
		c.WriteString("(" + f.expression + " IS NULL OR ")
	}
	c.WriteString("(" + f.expression + " IN (SELECT value FROM json_each(")
	c.bind(list)
	c.WriteString("))")
	if nested {
		c.plainly(f)
	}
	c.WriteByte(')')
	if null {
		c.WriteByte(')')
	}
}

// order writes what a query is sorted by. The id comes last, in the same direction, so that no two documents are equal in it.
func (c *condition) order(s scope, sort []store.Order) {
	c.WriteString(" ORDER BY ")
	seen := make(map[string]bool)
	last := store.Order{Field: "id"}
	if len(sort) > 0 {
		last.Descending = sort[len(sort)-1].Descending
	}
	for _, o := range append(sort[:len(sort):len(sort)], last) {
		if seen[o.Field] {
			continue
		}
		seen[o.Field] = true
		f := s.field(o.Field)
		if f.nested != "" {
			f.expression = "CASE WHEN " + f.nested + " NOT IN ('array','object') THEN " + f.expression + " END"
		}
		c.WriteString(f.expression)
		if o.Descending {
			c.WriteString(" DESC")
		}
		if o.Field == "id" {
			return
		}
		c.WriteByte(',')
	}
}

// mentioned are the collections that a filter looks at.
func mentioned(f store.Filter) (names []string) {
	switch f := f.(type) {
	case store.And:
		for _, one := range f {
			names = append(names, mentioned(one)...)
		}
	case store.Or:
		return mentioned(store.And(f))
	case store.Not:
		return mentioned(f.Filter)
	case store.Related:
		return append(mentioned(f.Filter), f.Collection)
	}
	return names
}

// unknown returns an error when a filter looks at a collection that is not there, or that is private and this one is not, or the other way
// round.
func unknown(of *collection, collections map[string]*collection, f store.Filter) error {
	all := func(filters []store.Filter) error {
		for _, one := range filters {
			if err := unknown(of, collections, one); err != nil {
				return err
			}
		}
		return nil
	}
	switch f := f.(type) {
	case store.And:
		return all(f)
	case store.Or:
		return all(f)
	case store.Not:
		return unknown(of, collections, f.Filter)
	case store.Related:
		other, ok := collections[f.Collection]
		if !ok {
			return missing(f.Collection)
		}
		if other.Private != of.Private {
			return fmt.Errorf("%s and %s: one is private, the other is not: %w", of.Name, other.Name, fault.Invalid)
		}
		return unknown(other, collections, f.Filter)
	}
	return nil
}
