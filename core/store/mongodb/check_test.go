package mongodb

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// raw does something to a collection behind the store's back.
func raw(t *testing.T, s *Store, collection string, f func(context.Context, *mongo.Collection) error) {
	t.Helper()
	err := s.run(t.Context(), "raw", func(ctx context.Context, client *mongo.Client) error {
		return f(ctx, s.in(client, &store.Collection{Name: collection}))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCheckFindsWhatOthersHaveDone(t *testing.T) {
	s := opened(t)
	c := store.Collection{Name: "things", Indexes: []store.Index{{Fields: []string{"a"}}, {Fields: []string{"b"}, Unique: true}}, Expire: "e"}
	if err := s.Ensure(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	raw(t, s, "things", func(ctx context.Context, in *mongo.Collection) error {
		var all []any
		for i := range checkPage + 1 {
			all = append(all, bson.D{{Key: "_id", Value: int64(i)}})
		}
		all = append(all, bson.D{{Key: "_id", Value: "listed"}, {Key: "a", Value: bson.A{1}}})
		_, err := in.InsertMany(ctx, all)
		return errors.Join(err, in.Indexes().DropOne(ctx, "unique b"))
	})
	err := s.Check(t.Context())
	for _, want := range []string{`the index "unique b" is missing`, `document {"$numberLong":"0"}: its _id is not a string`, "982 more documents are damaged"} {
		if !strings.Contains(errorText(err), want) {
			t.Errorf("%.500v, want %q in it", err, want)
		}
	}
	if fault.CodeOf(err) != "" {
		t.Errorf("damage has the code %q", fault.CodeOf(err))
	}
	if err := s.Ensure(t.Context(), c); fault.CodeOf(err) != fault.Conflict {
		t.Errorf("Ensure with a list where an index is: %v, want conflict", err)
	}
}

func TestWhatTheOplogHasLostIsNotFound(t *testing.T) {
	s := opened(t)
	if err := s.Ensure(t.Context(), store.Collection{Name: "things", Feed: time.Hour}); err != nil {
		t.Fatal(err)
	}
	feed, err := s.Watch(t.Context(), "things", "")
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	if _, err := s.Apply(t.Context(), store.Put{Collection: "things", Document: store.Document{"id": "1"}}); err != nil {
		t.Fatal(err)
	}
	event, err := feed.Next(t.Context())
	if err != nil || event.ID != "1" {
		t.Fatal(event, err)
	}
	again, err := s.Watch(t.Context(), "things", event.Position)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	// A token begins with 82, for a timestamp, and its seconds.
	old := event.Position[:2] + "00000001" + event.Position[10:]
	if _, err := s.Watch(t.Context(), "things", old); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("%v, want not found", err)
	}
}

func TestAPositionThatIsNoneIsInvalid(t *testing.T) {
	s := opened(t)
	if err := s.Ensure(t.Context(), store.Collection{Name: "things", Feed: time.Hour}); err != nil {
		t.Fatal(err)
	}
	for _, after := range []string{"x", "0", "00", "8265", strings.Repeat("F", 100), "82" + strings.Repeat("0", 5000)} {
		feed, err := s.Watch(t.Context(), "things", after)
		if err == nil {
			feed.Close()
		}
		if fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%.50q: %v, want invalid", after, err)
		}
	}
}
