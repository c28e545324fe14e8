package store

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/fault"
)

func TestWhatIsAPath(t *testing.T) {
	for path, ok := range map[string]bool{
		"a": true, "a.b": true, "_": true, "_a1-": true, "A.b-c.d_e": true, "id": true, "a.id": true, strings.Repeat("n", MaxName): true, "a" + strings.Repeat(".a", MaxDepth-1): true,
		"": false, ".": false, "a.": false, ".a": false, "a..b": false, "1": false, "a.1": false, "-a": false, "_id": false, "a._id": false, "$a": false, "a.$": false, "a b": false, "é": false, "a\x00": false, "a\"": false,
		strings.Repeat("n", MaxName+1): false, "a" + strings.Repeat(".a", MaxDepth): false,
	} {
		if err := CheckPath(path); (err == nil) != ok || err != nil && !errors.Is(err, fault.Invalid) {
			t.Errorf("%.80q: %v", path, err)
		}
	}
}

func TestAPathLeadsThroughDocumentsAlone(t *testing.T) {
	d := Document{"a": Document{"b": int64(1), "c.d": int64(2), "l": []any{Document{"x": int64(3)}}}, "n": nil}
	for path, want := range map[string]any{"a.b": int64(1), "a.c.d": nil, "a.l.x": nil, "a.b.c": nil, "n": nil, "n.x": nil, "none.x": nil} {
		if got := d.At(path); got != want {
			t.Errorf("%s leads to %v, want %v", path, got, want)
		}
	}
}

func TestAnIndexAcceptsValuesAlone(t *testing.T) {
	c := Collection{Name: "c", Expire: "e", Indexes: []Index{{Fields: []string{"a.b.c", "x"}}}}
	for name, test := range map[string]struct {
		d  Document
		ok bool
	}{
		"nothing":            {Document{}, true},
		"values":             {Document{"a": Document{"b": Document{"c": int64(1)}}, "x": "", "e": time.Time{}}, true},
		"a path to nowhere":  {Document{"a": "text", "e": "no time"}, true},
		"a list beside it":   {Document{"a": Document{"l": []any{}}, "y": []any{}}, true},
		"a list":             {Document{"x": []any{}}, false},
		"a document":         {Document{"x": Document{}}, false},
		"a list at the end":  {Document{"a": Document{"b": Document{"c": []any{}}}}, false},
		"a list on the way":  {Document{"a": []any{}}, false},
		"a list further on":  {Document{"a": Document{"b": []any{int64(1)}}}, false},
		"a list as the time": {Document{"e": []any{}}, false},
	} {
		if err := c.Accept(test.d); (err == nil) != test.ok || err != nil && !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAListIndexIsOfOneFieldAndAcceptsAll(t *testing.T) {
	for name, test := range map[string]struct {
		index Index
		ok    bool
	}{
		"a field":    {Index{Fields: []string{"tags"}, List: true}, true},
		"a path":     {Index{Fields: []string{"seo.tags"}, List: true}, true},
		"two fields": {Index{Fields: []string{"a", "b"}, List: true}, false},
		"no field":   {Index{List: true}, false},
		"the id":     {Index{Fields: []string{"id"}, List: true}, false},
		"in the id":  {Index{Fields: []string{"id.a"}, List: true}, false},
		"unique":     {Index{Fields: []string{"tags"}, List: true, Unique: true}, false},
	} {
		c := Collection{Name: "c", Indexes: []Index{test.index}}
		if err := c.Check(); (err == nil) != test.ok || err != nil && !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := Collection{Name: "c", Indexes: []Index{{Fields: []string{"a.b"}, List: true}}}
	for _, v := range []any{nil, "text", []any{}, Document{"b": []any{int64(1), []any{}, Document{}}}, []any{Document{"b": int64(1)}}} {
		if err := c.Accept(Document{"a": v}); err != nil {
			t.Errorf("%v: %v", v, err)
		}
	}
}

func TestAChangeIsMadeToACopy(t *testing.T) {
	now := time.Date(2024, 1, 1, 0, 0, 0, 1_999_999, time.UTC)
	before := Document{"id": "1", "a": int64(1), "l": []any{int64(1)}, "gone": true, "null": "x"}
	kept := Document{"id": "1", "a": int64(1), "l": []any{int64(1)}, "gone": true, "null": "x"}
	c := Change{Set: Document{"t": Now(time.Second), "i": 2, "null": nil}, Unset: []string{"gone", "none"}, Add: map[string]int64{"a": 2, "new": -1}}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	after, err := c.Changed(before, now)
	want := Document{"id": "1", "a": int64(3), "l": []any{int64(1)}, "t": time.Date(2024, 1, 1, 0, 0, 1, 1e6, time.UTC), "i": int64(2), "new": int64(-1)}
	if err != nil || !reflect.DeepEqual(after, want) {
		t.Errorf("%v, %v, want %v", after, err, want)
	}
	after.List("l")[0] = int64(9)
	if !reflect.DeepEqual(before, kept) {
		t.Errorf("what it was has become %v", before)
	}
}

func TestASumThatIsNoneIsRefused(t *testing.T) {
	for _, c := range []struct {
		before any
		n      int64
		ok     bool
	}{
		{nil, math.MinInt64, true}, {int64(math.MaxInt64), math.MinInt64, true}, {int64(math.MaxInt64 - 1), 1, true}, {int64(math.MinInt64), 0, true}, {int64(math.MaxInt64), 1, false}, {int64(math.MinInt64), -1, false},
		{int64(-2), math.MinInt64, false}, {int64(1), math.MaxInt64, false}, {1.0, 0, false}, {"1", 1, false}, {true, 1, false}, {[]any{}, 1, false}, {Document{}, 1, false}, {time.Time{}, 1, false},
	} {
		after, err := Change{Add: map[string]int64{"n": c.n}}.Changed(Document{"id": "1", "n": c.before}, time.Time{})
		if (err == nil) != c.ok || err != nil && !errors.Is(err, fault.Invalid) {
			t.Errorf("%v + %d is %v, %v", c.before, c.n, after, err)
		}
	}
}

func TestAConditionThatAsksForOneIDIsKnown(t *testing.T) {
	for name, c := range map[string]struct {
		f    Filter
		want string
	}{
		"an id": {ID("1"), "1"}, "one of others": {And{Eq("a", 1), And{ID("1")}}, "1"}, "none": {nil, ""}, "either": {Or{ID("1")}, ""}, "not": {Not{ID("1")}, ""}, "greater": {Gt("id", "1"), ""}, "a number": {Eq("id", 1), ""}, "a field": {Eq("a", "1"), ""},
	} {
		if id, ok := OneID(c.f); ok != (c.want != "") || ok && id != c.want {
			t.Errorf("%s: %q, %v", name, id, ok)
		}
	}
}
