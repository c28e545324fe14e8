package sqlite

import (
	"testing"

	"github.com/onehost/edge/core/store"
)

func TestACountIsAsNewAsTheLastWriteWhoeverWrites(t *testing.T) {
	path := t.TempDir() + "/store.db"
	s, other := open(t, path), open(t, path)
	if err := s.Ensure(t.Context(), store.Collection{Name: "a"}, store.Collection{Name: "b"}); err != nil {
		t.Fatal(err)
	}
	want := 0
	for i, by := range []*Store{s, other, s, s, other, other} {
		id := string(rune('a' + i))
		if _, err := by.Apply(t.Context(), insert("a", id)); err != nil {
			t.Fatal(err)
		}
		want++
		for range 2 {
			for _, of := range []*Store{s, other} {
				if n, err := of.Count(t.Context(), "a", nil); n != want || err != nil {
					t.Errorf("%d are counted of %d, %v", n, want, err)
				}
				if n, err := of.Count(t.Context(), "a", store.ID("a")); n != 1 || err != nil {
					t.Errorf("%d are counted of one, %v", n, err)
				}
				if n, err := of.Count(t.Context(), "b", nil); n != 0 || err != nil {
					t.Errorf("%d are counted of none, %v", n, err)
				}
			}
		}
	}
}

func TestWhatIsCountedIsNotTakenForAnother(t *testing.T) {
	s := open(t, t.TempDir()+"/store.db")
	if err := s.Ensure(t.Context(), store.Collection{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	for i, v := range []any{1, "1", true, "x\x00string y"} {
		if _, err := s.Apply(t.Context(), store.Insert{Collection: "a", Document: store.Document{"id": string(rune('a' + i)), "v": v, "w": "y"}}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		for _, test := range []struct {
			filter store.Filter
			n      int
		}{
			{store.Eq("v", 1), 1}, {store.Eq("v", "1"), 1}, {store.Eq("v", true), 1}, {store.Eq("v", 2), 0}, {store.Gt("v", 0), 1}, {store.Gt("v", 1), 0},
			{store.And{store.Eq("v", "x\x00string y"), store.Eq("w", "y")}, 1}, {store.And{store.Eq("v", "x"), store.Eq("w", "y\x00string y")}, 0},
		} {
			if n, err := s.Count(t.Context(), "a", test.filter); n != test.n || err != nil {
				t.Errorf("%v: %d, want %d, %v", test.filter, n, test.n, err)
			}
		}
	}
}
