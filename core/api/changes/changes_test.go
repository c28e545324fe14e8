package changes

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
)

func TestChangesAreListedTheLatestFirst(t *testing.T) {
	s := storetest.NewMemory()
	if err := s.Ensure(t.Context(), Collection()); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	want := Change{
		Type: "article", Entry: "e3", Locale: "en", Status: "draft", Action: Delete, By: "user:1", Request: "r3", Address: "192.0.2.1", At: at,
		Fields: []string{"title"}, Row: store.Document{"title": "x"},
	}
	for n := range 4 {
		c := want
		c.ID, c.Entry, c.Request = fmt.Sprint("c", n), fmt.Sprint("e", n), fmt.Sprint("r", n)
		if _, err := s.Apply(t.Context(), store.Insert{Collection: Name, Document: Document(c, time.Now().Add(time.Hour))}); err != nil {
			t.Fatal(err)
		}
	}
	want.ID = "c3"
	list, err := List(t.Context(), s, Filter{Type: "article", By: "user:1", Limit: 2})
	if err != nil || len(list) != 2 || !reflect.DeepEqual(list[0], want) {
		t.Errorf("%+v %v", list, err)
	}
	list, err = List(t.Context(), s, Filter{After: "c2", Limit: MaxList})
	if err != nil || len(list) != 2 || list[0].ID != "c1" {
		t.Errorf("%+v %v", list, err)
	}
	list, err = List(t.Context(), s, Filter{Entry: "e1", Request: "r1", Limit: 1})
	if err != nil || len(list) != 1 || list[0].ID != "c1" {
		t.Errorf("%+v %v", list, err)
	}
	if _, err := List(t.Context(), s, Filter{Limit: MaxList + 1}); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
}
