package store

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/onehost/edge/core/fault"
)

// CheckPath returns an error when path is not names joined by dots: letters, digits, - and _, neither a digit nor - first.
func CheckPath(path string) error {
	names := strings.Split(path, ".")
	if len(names) > MaxDepth {
		return fmt.Errorf("the path %.80q has more than %d names: %w", path, MaxDepth, fault.Invalid)
	}
	for _, name := range names {
		if err := checkName(name); err != nil {
			return err
		}
	}
	return nil
}

// checkName accepts what a path can reach. MongoDB has a use of its own for _id.
func checkName(name string) error {
	ok := name != "" && len(name) <= MaxName && name != "_id"
	for i, r := range []byte(name) {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
		ok = ok && (letter || i > 0 && (r >= '0' && r <= '9' || r == '-'))
	}
	if !ok {
		return fmt.Errorf("%.80q is no name of a field: letters, digits, - and _, a letter first, %d at most: %w", name, MaxName, fault.Invalid)
	}
	return nil
}

// checkCollection accepts what is a collection's name in every engine.
func checkCollection(name string) error {
	ok := name != "" && len(name) <= MaxName && !strings.HasPrefix(name, "sqlite_")
	for i, r := range []byte(name) {
		ok = ok && (r >= 'a' && r <= 'z' || i > 0 && (r >= '0' && r <= '9' || r == '-' || r == '_'))
	}
	if !ok {
		return fmt.Errorf("%.80q is no name of a collection: lower-case letters, digits, - and _, a letter first, %d at most: %w", name, MaxName, fault.Invalid)
	}
	return nil
}

// Check returns an error when c is not valid.
func (c Collection) Check() error {
	if err := checkCollection(c.Name); err != nil {
		return err
	}
	if c.Feed < 0 {
		return fmt.Errorf("collection %s: a feed can't last %v: %w", c.Name, c.Feed, fault.Invalid)
	}
	if c.Expire != "" {
		if err := checkName(c.Expire); err != nil {
			return fmt.Errorf("collection %s: %w", c.Name, err)
		}
	}
	for _, index := range c.Indexes {
		if len(index.Fields) == 0 {
			return fmt.Errorf("collection %s: an index without fields: %w", c.Name, fault.Invalid)
		}
		if index.List && (index.Unique || len(index.Fields) != 1 || index.Fields[0] == "id" || strings.HasPrefix(index.Fields[0], "id.")) {
			return fmt.Errorf("collection %s: a list index is of one field that is not id, and not unique: %w", c.Name, fault.Invalid)
		}
		for _, field := range index.Fields {
			if err := CheckPath(field); err != nil {
				return fmt.Errorf("collection %s: %w", c.Name, err)
			}
			if index.Unique && strings.Contains(field, ".") {
				return fmt.Errorf("collection %s: %s can't be unique: it is not a field of the document itself: %w", c.Name, field, fault.Invalid)
			}
		}
	}
	return nil
}

// Accept returns an error when c can't hold d, a normal document, because a list or a document is where an index needs values.
func (c Collection) Accept(d Document) error {
	if c.Expire != "" && isNested(d[c.Expire]) {
		return fmt.Errorf("%s: %s is a list or document, and documents expire by it: %w", c.Name, c.Expire, fault.Invalid)
	}
	for _, index := range c.Indexes {
		if index.List {
			continue
		}
		for _, field := range index.Fields {
			if v, listed := d.at(field); listed || isNested(v) {
				return fmt.Errorf("%s: %s is a list or document, and has an index: %w", c.Name, field, fault.Invalid)
			}
		}
	}
	return nil
}

func isNested(v any) bool {
	switch v.(type) {
	case []any, Document:
		return true
	}
	return false
}

// At returns the value that a path leads to, nil if there is none.
func (d Document) At(path string) any {
	v, _ := d.at(path)
	return v
}

// at also tells whether the path ends early in a list.
func (d Document) at(path string) (v any, listed bool) {
	v = d
	for name := range strings.SplitSeq(path, ".") {
		inner, ok := v.(Document)
		if !ok {
			_, listed = v.([]any)
			return nil, listed
		}
		v = inner[name]
	}
	return v, false
}

// Check returns an error when q is not valid. It does not look at Limit where find is false: Claim returns one document.
func (q Query) Check(find bool) error {
	if err := CheckFilter(q.Filter); err != nil {
		return err
	}
	if len(q.Sort) > MaxSort {
		return fmt.Errorf("a query sorts by %d fields; %d are the most: %w", len(q.Sort), MaxSort, fault.TooLarge)
	}
	for _, o := range q.Sort {
		if err := CheckPath(o.Field); err != nil {
			return err
		}
	}
	if !find {
		return nil
	}
	for _, field := range q.Fields {
		if err := checkName(field); err != nil {
			return err
		}
	}
	if q.MaxBytes < 0 {
		return fmt.Errorf("at most %d bytes can't be found: %w", q.MaxBytes, fault.Invalid)
	}
	if q.Skip < 0 || q.Limit < 1 || q.Limit > MaxFind {
		return fmt.Errorf("skip %d, limit %d: documents are found 1 to %d at a time: %w", q.Skip, q.Limit, MaxFind, fault.Invalid)
	}
	return nil
}

// CheckFilter returns an error when f is not valid; nil is.
func CheckFilter(f Filter) error {
	if f == nil {
		return nil
	}
	c := filterCheck{}
	return c.check(f, 1, false)
}

type filterCheck struct{ nodes int }

func (c *filterCheck) check(f Filter, level int, within bool) error {
	if c.nodes++; c.nodes > MaxNodes || level > MaxNesting {
		return fmt.Errorf("a filter has more than %d conditions or %d levels of them: %w", MaxNodes, MaxNesting, fault.TooLarge)
	}
	switch f := f.(type) {
	case And:
		return c.all(f, level, within)
	case Or:
		return c.all(f, level, within)
	case Not:
		return c.check(f.Filter, level+1, within)
	case Some:
		if err := CheckPath(f.Field); err != nil {
			return err
		}
		return c.check(f.Filter, level+1, true)
	case Related:
		return c.related(f, level, within)
	case Compare, In, Text, Has:
		return checkLeaf(f)
	}
	return fmt.Errorf("%T is no condition: %w", f, fault.Invalid)
}

func (c *filterCheck) all(filters []Filter, level int, within bool) error {
	for _, one := range filters {
		if err := c.check(one, level+1, within); err != nil {
			return err
		}
	}
	return nil
}

func (c *filterCheck) related(f Related, level int, within bool) error {
	if within {
		return fmt.Errorf("a condition on related documents can't be within one on the documents of a list: %w", fault.Invalid)
	}
	if err := checkCollection(f.Collection); err != nil {
		return err
	}
	for _, path := range []string{f.Field, f.by()} {
		if err := CheckPath(path); err != nil {
			return err
		}
	}
	if f.Filter == nil {
		return nil
	}
	return c.check(f.Filter, level+1, false)
}

func (r Related) by() string {
	if r.By == "" {
		return "id"
	}
	return r.By
}

func checkLeaf(f Filter) error {
	switch f := f.(type) {
	case Compare:
		return checkCompare(f)
	case In:
		if len(f.Values) > MaxValues {
			return fmt.Errorf("%d values to look for in %s; %d are the most: %w", len(f.Values), f.Field, MaxValues, fault.TooLarge)
		}
		for _, v := range f.Values {
			if err := checkOperand(f.Field, v); err != nil {
				return err
			}
		}
		return CheckPath(f.Field)
	case Text:
		if len(f.Value) > MaxText {
			return fmt.Errorf("%s: %d bytes of text to look for; %d are the most: %w", f.Field, len(f.Value), MaxText, fault.TooLarge)
		}
		if !slices.Contains([]TextOp{Whole, Contains, Prefix, Suffix}, f.Op) || strings.ContainsRune(f.Value, 0) {
			return fmt.Errorf("%s: no text can be looked for %.80q in this way: %w", f.Field, f.Value, fault.Invalid)
		}
		if err := checkOperand(f.Field, f.Value); err != nil {
			return err
		}
		return CheckPath(f.Field)
	case Has:
		if f.Value == nil {
			return fmt.Errorf("%s: null can't be looked for in a list: %w", f.Field, fault.Invalid)
		}
		if err := checkOperand(f.Field, f.Value); err != nil {
			return err
		}
		return CheckPath(f.Field)
	}
	return nil
}

func checkCompare(f Compare) error {
	if err := CheckPath(f.Field); err != nil {
		return err
	}
	if _, ok := f.Value.(Now); !ok {
		if err := checkOperand(f.Field, f.Value); err != nil {
			return err
		}
	}
	if f.Op == Equal {
		return nil
	}
	if !slices.Contains([]Op{Less, LessOrEqual, Greater, GreaterOrEqual}, f.Op) || f.Value == nil {
		return fmt.Errorf("%s %s %v is no comparison: %w", f.Field, f.Op, f.Value, fault.Invalid)
	}
	return nil
}

// checkOperand accepts what a field can be compared with.
func checkOperand(field string, v any) error {
	v, err := NormalValue(v)
	if err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	if isNested(v) {
		return fmt.Errorf("%s can't be compared with a list or a document: %w", field, fault.Invalid)
	}
	return nil
}

// Check returns an error when c is not valid.
func (c Change) Check() error {
	seen := make(map[string]bool)
	names := c.Unset
	for name, v := range c.Set {
		names = append(names[:len(names):len(names)], name)
		if _, ok := v.(Now); ok {
			continue
		}
		if _, _, err := normal(v, 2); err != nil {
			return fmt.Errorf("field %s: %w", name, err)
		}
	}
	for name := range c.Add {
		names = append(names[:len(names):len(names)], name)
	}
	for _, name := range names {
		if err := checkName(name); err != nil {
			return err
		}
		if name == "id" || seen[name] {
			return fmt.Errorf("a change can't set id, nor a field twice: %s: %w", name, fault.Invalid)
		}
		seen[name] = true
	}
	return nil
}

// Changed returns a copy of d, a normal document, with a valid change made at a moment.
func (c Change) Changed(d Document, now time.Time) (Document, error) {
	changed := make(Document, len(d)+len(c.Set))
	for name, v := range d {
		changed[name] = v
	}
	for name, v := range c.Set {
		if plus, ok := v.(Now); ok {
			v = now.Add(time.Duration(plus))
		}
		changed[name] = v
	}
	for _, name := range c.Unset {
		delete(changed, name)
	}
	for name, n := range c.Add {
		before, ok := changed[name].(int64)
		if changed[name] != nil && !ok {
			return nil, fmt.Errorf("%s of %s is no whole number: %w", name, d.ID(), fault.Invalid)
		}
		if n > 0 && before > math.MaxInt64-n || n < 0 && before < math.MinInt64-n {
			return nil, fmt.Errorf("%s of %s would have more than 64 bits: %w", name, d.ID(), fault.Invalid)
		}
		changed[name] = before + n
	}
	changed, _, err := Normal(changed)
	return changed, err
}

// CheckWrites returns an error when one of the writes is not valid. The documents of Insert and Put are judged by [Normal].
func CheckWrites(writes []Write) error {
	if len(writes) > MaxWrites {
		return fmt.Errorf("%d writes at once; %d are the most: %w", len(writes), MaxWrites, fault.TooLarge)
	}
	for i, w := range writes {
		if err := checkWrite(w); err != nil {
			return fmt.Errorf("write %d: %w", i, err)
		}
	}
	return nil
}

func checkWrite(w Write) error {
	switch w := w.(type) {
	case Insert, Put:
		return nil
	case Update:
		if err := checkChanged(w.Filter, w.Must); err != nil {
			return err
		}
		return w.Change.Check()
	case Delete:
		return checkChanged(w.Filter, w.Must)
	}
	return fmt.Errorf("%T is no write: %w", w, fault.Invalid)
}

func checkChanged(f Filter, must int) error {
	if must < 0 {
		return fmt.Errorf("it can't be that %d documents must be touched: %w", must, fault.Invalid)
	}
	return CheckFilter(f)
}
