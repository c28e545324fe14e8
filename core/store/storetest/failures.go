package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

func failures() []test {
	return []test{
		{"what is no valid document is invalid", invalidDocuments},
		{"what is no valid condition is invalid", invalidFilters},
		{"what is no valid query is invalid", invalidQueries},
		{"what is no valid change is invalid", invalidChanges},
		{"no id but that of a document is found", noSuchID},
		{"a call whose context has ended does nothing", endedContexts},
		{"a store that is closed answers with errors", closes},
	}
}

// ended fails the test unless err is unavailable because a context has ended.
func (s *scene) ended(err, want error, what string) {
	s.Helper()
	if !errors.Is(err, want) || fault.CodeOf(err) != fault.Unavailable {
		s.Errorf("%s: %v (code %q), want unavailable and %v", what, err, fault.CodeOf(err), want)
	}
}

func hostileFields() []string {
	return []string{
		"", "$where", "a.$b", `"; drop table x; --`, "'", "a b", "a\x00b", "é", "1a", "-a", "_id", "a\"b", "a'b", "a`b", "a[0]", "a/b", "$", "a$", "\xff", strings.Repeat("n", store.MaxName+1),
	}
}

func invalidDocuments(s *scene) {
	name := s.with(doc{"id": "1", "v": int64(1)})
	loop := doc{}
	loop["loop"] = loop
	var bad []doc
	for _, v := range []any{
		math.NaN(), math.Inf(1), math.Inf(-1), "\xff", "a\xc3", "\U0010FFFFa", time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC), int32(1), uint(1), float32(1), []string{"a"},
		[]int{1}, map[string]string{}, struct{}{}, new(int), func() {}, store.Now(0), store.Eq("a", 1), doc{"a": math.NaN()}, []any{[]any{"\xff"}}, doc{"a\x00": true}, doc{"\xff": true}, doc{strings.Repeat("n", 1025): true},
		nest(int64(1), store.MaxDepth, false), nest(int64(1), store.MaxDepth, true), nest([]any{}, store.MaxDepth-1, false), nest(doc{}, store.MaxDepth-1, true), loop,
	} {
		bad = append(bad, doc{"id": "2", "v": v})
	}
	for _, field := range append(hostileFields(), "a.b", ".") {
		bad = append(bad, doc{"id": "2", field: int64(1)}, doc{"id": "2", field: nil})
	}
	for _, id := range []any{nil, "", 1, int64(1), []byte("1"), "a\x00", "\xff", "\U0010FFFF", strings.Repeat("i", store.MaxID+1), []any{"1"}, doc{}, true} {
		bad = append(bad, doc{"id": id})
	}
	bad = append(bad, doc{}, nil)
	for _, d := range bad {
		for _, w := range []store.Write{store.Insert{Collection: name, Document: d}, store.Put{Collection: name, Document: d}} {
			_, err := s.Apply(s.ctx, w)
			s.refused(err, fault.Invalid, "%T of %.200q", w, fmt.Sprintf("%.20v", len(d)))
		}
	}
	s.is(s.find(store.Query{Collection: name}), []doc{{"id": "1", "v": int64(1)}}, "found")
}

func invalidFilters(s *scene) {
	name := s.with(doc{"id": "1"})
	bad := []store.Filter{
		store.Not{}, store.And{nil}, store.Or{store.Eq("a", 1), nil}, &store.Compare{Field: "a", Op: store.Equal}, store.Compare{Field: "a"}, store.Compare{Field: "a", Op: "~", Value: 1}, store.Compare{Field: "a", Op: "!=", Value: 1},
		store.Lt("a", nil), store.Gte("a", nil), store.Eq("a", []any{}), store.Eq("a", doc{}), store.Eq("a", map[string]any{"$gt": ""}), store.Eq("a", math.NaN()), store.Eq("a", "\xff"), store.Gt("a", []any{1}), store.Eq("a", int32(1)),
		store.In{Field: "a", Values: []any{[]any{}}}, store.In{Field: "a", Values: []any{1, doc{}}}, store.In{Field: "a", Values: []any{store.Now(0)}}, store.In{Field: "a", Values: []any{math.Inf(1)}}, store.In{Values: []any{1}},
		store.Has{Field: "a"}, store.Has{Field: "a", Value: []any{}}, store.Has{Field: "a", Value: doc{}}, store.Has{Field: "a", Value: store.Now(0)}, store.Some{Field: "a"}, store.Some{Filter: store.And{}},
		store.Some{Field: "a", Filter: store.Related{Field: "b", Collection: name}}, store.Some{Field: "a", Filter: store.Not{Filter: store.Related{Field: "b", Collection: name}}},
		store.Text{Field: "a", Op: "regexp", Value: "x"}, store.Text{Field: "a", Value: "x"}, store.Text{Field: "a", Op: store.Contains, Value: "\x00"}, store.Text{Field: "a", Op: store.Contains, Value: "\xff"},
		store.Related{Field: "a"}, store.Related{Collection: name}, store.Related{Field: "a", Collection: name, By: "a..b"}, store.Related{Field: "a", Collection: name, Filter: store.Not{}}, store.Related{Field: "a", Collection: "$x"},
	}
	for _, field := range append(hostileFields(), ".", "a.", ".a", "a..b", "a.0", "a._id", "l.1.a") {
		bad = append(bad, store.Eq(field, 1), store.Null(field), store.In{Field: field}, store.Has{Field: field, Value: 1}, store.Some{Field: field, Filter: store.And{}}, store.Some{Field: "a", Filter: store.Eq(field, 1)},
			store.Text{Field: field, Op: store.Prefix}, store.Related{Field: field, Collection: name})
		if field != "" {
			bad = append(bad, store.Related{Field: "id", Collection: name, By: field})
		}
	}
	for _, f := range bad {
		_, err := s.Find(s.ctx, store.Query{Collection: name, Filter: f, Limit: 1})
		s.refused(err, fault.Invalid, "Find where %s", Describe(f))
		_, err = s.Count(s.ctx, name, store.Not{Filter: store.And{store.ID("nobody"), f}})
		s.refused(err, fault.Invalid, "Count where %s", Describe(f))
		_, err = s.Claim(s.ctx, store.Query{Collection: name, Filter: store.Or{f}}, store.Change{})
		s.refused(err, fault.Invalid, "Claim where %s", Describe(f))
		_, err = s.Apply(s.ctx, store.Delete{Collection: name, Filter: f})
		s.refused(err, fault.Invalid, "Delete where %s", Describe(f))
		_, err = s.Apply(s.ctx, store.Update{Collection: name, Filter: f})
		s.refused(err, fault.Invalid, "Update where %s", Describe(f))
	}
	s.finds(name, nil, "1")
}

func invalidQueries(s *scene) {
	name := s.with(doc{"id": "1"})
	bad := []store.Query{{}, {Limit: -1}, {Limit: store.MaxFind + 1}, {Limit: 1, Skip: -1}, {Limit: 1, MaxBytes: -1}}
	for _, field := range hostileFields() {
		bad = append(bad, store.Query{Limit: 1, Sort: []store.Order{{Field: "a"}, {Field: field}}}, store.Query{Limit: 1, Fields: []string{"a", field}})
		_, err := s.Claim(s.ctx, store.Query{Collection: name, Sort: []store.Order{{Field: field}}}, store.Change{})
		s.refused(err, fault.Invalid, "Claim sorted by %q", field)
	}
	bad = append(bad, store.Query{Limit: 1, Fields: []string{"a.b"}}, store.Query{Limit: 1, Sort: []store.Order{{Field: "a..b"}}})
	for _, q := range bad {
		q.Collection = name
		_, err := s.Find(s.ctx, q)
		s.refused(err, fault.Invalid, "%s", Describe(q))
	}
}

func invalidChanges(s *scene) {
	name := s.with(doc{"id": "1", "v": int64(1)})
	bad := []store.Change{
		{Set: doc{"id": "2"}}, {Set: doc{"id": "1"}}, {Unset: []string{"id"}}, {Add: map[string]int64{"id": 1}}, {Set: doc{"a": 1}, Unset: []string{"a"}}, {Set: doc{"a": 1}, Add: map[string]int64{"a": 1}}, {Unset: []string{"a", "a"}},
		{Unset: []string{"a"}, Add: map[string]int64{"a": 1}}, {Set: doc{"a": math.NaN()}}, {Set: doc{"a": []any{store.Now(0)}}}, {Set: doc{"a": "\xff"}}, {Set: doc{"a": int32(1)}}, {Set: doc{"a": nil}, Unset: []string{"a"}},
		{Set: doc{"a": nest(int64(1), store.MaxDepth, false)}}, {Set: doc{"a": nest(doc{}, store.MaxDepth-1, true)}},
	}
	for _, field := range append(hostileFields(), "a.b") {
		bad = append(bad, store.Change{Set: doc{field: 1}}, store.Change{Unset: []string{field}}, store.Change{Add: map[string]int64{field: 1}})
	}
	for _, c := range bad {
		for _, f := range []store.Filter{nil, store.ID("nobody")} {
			_, err := s.Apply(s.ctx, store.Update{Collection: name, Filter: f, Change: c})
			s.refused(err, fault.Invalid, "Update: %s", Describe(c))
			_, err = s.Claim(s.ctx, store.Query{Collection: name, Filter: f}, c)
			s.refused(err, fault.Invalid, "Claim: %s", Describe(c))
		}
	}
	_, err := s.Apply(s.ctx, nil)
	s.refused(err, fault.Invalid, "a write that is nil")
	_, err = s.Apply(s.ctx, &store.Delete{Collection: name})
	s.refused(err, fault.Invalid, "a write that is a pointer")
	for _, w := range []store.Write{store.Update{Collection: name, Must: -1}, store.Delete{Collection: name, Must: -1}, store.Delete{Collection: name, Filter: store.ID("1"), Must: -1}} {
		_, err = s.Apply(s.ctx, w)
		s.refused(err, fault.Invalid, "%s", Describe(w))
	}
	s.is(s.find(store.Query{Collection: name}), []doc{{"id": "1", "v": int64(1)}}, "found")
}

func noSuchID(s *scene) {
	name := s.with(doc{"id": "a"}, doc{"id": "1"})
	for _, id := range []string{"", "A", "a ", " a", "a\x00", "\x00", "\xff", "1.0", "%", "_", "*", "' or 1=1 --", `{"$ne":1}`, "\U0010FFFF", strings.Repeat("i", store.MaxID+1), strings.Repeat("i", 100_000)} {
		_, err := s.Get(s.ctx, name, id)
		s.refused(err, fault.NotFound, "Get of %.40q", id)
	}
}

func endedContexts(s *scene) {
	name := s.make(store.Collection{Feed: time.Hour})
	s.insert(name, doc{"id": "1"})
	canceled, cancel := withCancel(s.ctx)
	cancel()
	late, cancel := context.WithDeadline(s.ctx, time.Now().Add(-time.Second))
	defer cancel()
	for ctx, want := range map[context.Context]error{canceled: context.Canceled, late: context.DeadlineExceeded} {
		for what, call := range map[string]func() error{
			"Get":   func() error { _, err := s.Get(ctx, name, "1"); return err },
			"Find":  func() error { _, err := s.Find(ctx, store.Query{Collection: name, Limit: 1}); return err },
			"Count": func() error { _, err := s.Count(ctx, name, nil); return err },
			"Apply": func() error { _, err := s.Apply(ctx, store.Delete{Collection: name}); return err },
			"Insert": func() error {
				_, err := s.Apply(ctx, store.Insert{Collection: name, Document: doc{"id": "2"}})
				return err
			},
			"Claim": func() error {
				_, err := s.Claim(ctx, store.Query{Collection: name}, store.Change{Set: doc{"a": 1}})
				return err
			},
			"Watch":       func() error { _, err := s.Watch(ctx, name, ""); return err },
			"Collections": func() error { _, err := s.Collections(ctx); return err },
			"Check":       func() error { return s.Check(ctx) },
			"Ready":       func() error { return s.Ready(ctx) },
		} {
			s.ended(call(), want, what)
		}
		s.ended(s.Ensure(ctx, store.Collection{Name: s.newName()}), want, "Ensure")
	}
	s.is(s.find(store.Query{Collection: name}), []doc{{"id": "1"}}, "found")
}

func closes(s *scene) {
	s.Store = s.engine.Open(s.T)
	name, feed := watched(s)
	s.insert(name, doc{"id": "1"})
	stop := s.running()
	s.told(feed, "inserted 1")
	ended := make(chan error, 1)
	go func() {
		_, err := feed.Next(s.ctx)
		ended <- err
	}()
	stop()
	s.must(s.Close())
	if err := <-ended; err == nil {
		s.Error("Next has no error when the store is closed")
	}
	for what, call := range map[string]func() error{
		"Get":   func() error { _, err := s.Get(s.ctx, name, "1"); return err },
		"Find":  func() error { _, err := s.Find(s.ctx, store.Query{Collection: name, Limit: 1}); return err },
		"Apply": func() error { _, err := s.Apply(s.ctx, store.Delete{Collection: name}); return err },
		"Claim": func() error { _, err := s.Claim(s.ctx, store.Query{Collection: name}, store.Change{}); return err },
		"Watch": func() error { _, err := s.Watch(s.ctx, name, ""); return err },
		"Ready": func() error { return s.Ready(s.ctx) },
	} {
		if call() == nil {
			s.Errorf("%s of a closed store has no error", what)
		}
	}
	s.Close()
}
