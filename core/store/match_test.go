package store

import (
	"errors"
	"testing"
	"time"

	"github.com/onehost/edge/core/fault"
)

func TestMatchAsksForRelatedDocumentsByTheirReferences(t *testing.T) {
	d := Document{"id": "1", "tags": []any{"a", nil, []any{"b"}, Document{}, "c"}, "none": []any{nil}}
	var asked Filter
	related := func(collection string, f Filter) (bool, error) {
		if asked = f; collection != "others" {
			t.Errorf("%s was asked", collection)
		}
		return CheckFilter(f) == nil, nil
	}
	now := time.Now()
	ok, err := Match(d, Related{Field: "tags", Collection: "others", By: "keys", Filter: Eq("x", 1)}, now, related)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	for _, other := range []Document{{"keys": "c"}, {"keys": []any{"x", "a"}}} {
		other["x"] = int64(1)
		if ok, err := Match(other, asked, now, nil); !ok || err != nil {
			t.Errorf("%v: %v %v", other, ok, err)
		}
	}
	for _, other := range []Document{{"keys": "c"}, {"keys": "b", "x": int64(1)}, {"x": int64(1)}} {
		if ok, err := Match(other, asked, now, nil); ok || err != nil {
			t.Errorf("%v: %v %v", other, ok, err)
		}
	}
	asked = nil
	if ok, err := Match(d, Related{Field: "none", Collection: "others"}, now, related); ok || err != nil || asked != nil {
		t.Errorf("what refers to nothing: %v %v, asked %v", ok, err, asked)
	}
}

func TestMatchAsksForManyReferencesInPortions(t *testing.T) {
	many := make([]any, 2500)
	for i := range many {
		many[i] = int64(i)
	}
	asked := 0
	ok, err := Match(Document{"l": many}, Related{Field: "l", Collection: "others", By: "l", Filter: Eq("x", 1)}, time.Now(), func(_ string, f Filter) (bool, error) {
		if err := CheckFilter(f); err != nil {
			t.Error(err)
		}
		asked++
		return false, nil
	})
	if ok || err != nil || asked != 13 {
		t.Errorf("%v %v after %d questions", ok, err, asked)
	}
}

func TestMatchSaysWhyItCanNotTell(t *testing.T) {
	failed := errors.New("away")
	away := func(string, Filter) (bool, error) { return false, failed }
	refers := Related{Field: "a", Collection: "others"}
	d := Document{"a": "x"}
	for name, f := range map[string]Filter{"alone": refers, "not": Not{refers}, "and": And{Eq("a", "x"), refers}, "or": Or{refers, Eq("a", "x")}} {
		if ok, err := Match(d, f, time.Now(), away); ok || !errors.Is(err, failed) {
			t.Errorf("%s: %v %v", name, ok, err)
		}
		if ok, err := Match(d, f, time.Now(), nil); ok || !errors.Is(err, fault.Invalid) {
			t.Errorf("%s, with nobody to ask: %v %v", name, ok, err)
		}
	}
}
