package storetest

import (
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/onehost/edge/core/store"
)

func claims() []test {
	return []test{
		{"Claim changes the first document in order, and returns it as it is then", claimsFirst},
		{"sixteen who claim two hundred documents get each once", claimsOnce},
		{"what is claimed for a time can be claimed after it", claimsAgain},
		{"a claim that a unique index contradicts is a conflict and changes nothing", claimsConflict},
	}
}

func claimsFirst(s *scene) {
	name := s.with(doc{"id": "1", "due": int64(3)}, doc{"id": "2", "due": int64(1)}, doc{"id": "3", "due": int64(1), "free": false}, doc{"id": "4"})
	q := store.Query{Collection: name, Filter: store.And{store.Ne("free", false), store.Gt("due", 0)}, Sort: []store.Order{{Field: "due"}}, Skip: 5, Limit: -1, Fields: []string{"-"}}
	c := store.Change{Set: doc{"free": false}, Add: map[string]int64{"times": 1}}
	for _, want := range []doc{{"id": "2", "due": int64(1), "free": false, "times": int64(1)}, {"id": "1", "due": int64(3), "free": false, "times": int64(1)}} {
		d, err := s.Claim(s.ctx, q, c)
		s.must(err)
		s.is(d, want, "claimed")
		s.is(s.get(name, want.ID()), want, "got")
	}
	_, err := s.Claim(s.ctx, q, c)
	s.refused(err, "not_found", "a claim of none")
	q.Filter, q.Sort = nil, []store.Order{{Field: "due", Descending: true}, {Field: "id", Descending: true}}
	d, err := s.Claim(s.ctx, q, store.Change{})
	s.must(err)
	s.is(d.ID(), "1", "the last one")
	q.Sort = nil
	d, err = s.Claim(s.ctx, q, store.Change{Unset: []string{"free", "due"}})
	s.must(err)
	s.is(d, doc{"id": "1", "times": int64(1)}, "the first by id")
}

func claimsOnce(s *scene) {
	const all, by = 200, 16
	name := s.make(store.Collection{Indexes: []store.Index{{Fields: []string{"state", "due"}}}})
	var documents []doc
	for i := range all {
		documents = append(documents, doc{"id": id4(i), "state": "waiting", "due": now().Add(-time.Duration(i) * time.Second)})
	}
	s.insert(name, documents...)
	var mu sync.Mutex
	claimed := make(map[string]int)
	s.together(by, func(who int) error {
		for {
			d, err := s.Claim(s.ctx,
				store.Query{Collection: name, Filter: store.And{store.Eq("state", "waiting"), store.Lte("due", store.Now(0))}, Sort: []store.Order{{Field: "due"}}},
				store.Change{Set: doc{"state": "running", "who": who, "until": store.Now(time.Minute)}})
			if errors.Is(err, codeOf("not_found")) {
				return nil
			}
			if err != nil {
				return err
			}
			if d.Int("who") != int64(who) || d.String("state") != "running" {
				return errors.New("a claim has returned another one's: " + Describe(d))
			}
			mu.Lock()
			claimed[d.ID()]++
			mu.Unlock()
		}
	})
	for id, n := range claimed {
		if n != 1 {
			s.Errorf("%s was claimed %d times", id, n)
		}
	}
	if len(claimed) != all {
		s.Errorf("%d of %d were claimed: %v", len(claimed), all, maps.Keys(claimed))
	}
}

func claimsAgain(s *scene) {
	name := s.with(doc{"id": "1", "until": now().Add(-time.Hour)})
	q := store.Query{Collection: name, Filter: store.Or{store.Null("until"), store.Lt("until", store.Now(0))}}
	_, err := s.Claim(s.ctx, q, store.Change{Set: doc{"until": store.Now(time.Hour)}})
	s.must(err)
	_, err = s.Claim(s.ctx, q, store.Change{})
	s.refused(err, "not_found", "a claim of what is held")
	s.apply(store.Update{Collection: name, Change: store.Change{Set: doc{"until": store.Now(-time.Second)}}})
	_, err = s.Claim(s.ctx, q, store.Change{})
	s.must(err)
}

func claimsConflict(s *scene) {
	name := s.make(store.Collection{Indexes: []store.Index{{Fields: []string{"u"}, Unique: true}}})
	s.insert(name, doc{"id": "1", "u": int64(1)}, doc{"id": "2", "u": int64(2)})
	_, err := s.Claim(s.ctx, store.Query{Collection: name}, store.Change{Set: doc{"u": 2, "x": 1}})
	s.duplicate(err, name, "u")
	_, err = s.Claim(s.ctx, store.Query{Collection: name}, store.Change{Set: doc{"u": []any{}}})
	s.refused(err, "invalid", "a claim that puts a list where an index is")
	s.is(s.get(name, "1"), doc{"id": "1", "u": int64(1)}, "got")
}
