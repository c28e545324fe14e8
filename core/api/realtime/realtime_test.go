package realtime

import (
	"fmt"
	"testing"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
)

func TestWhoFollowsHearsWhatAListWouldShow(t *testing.T) {
	onEveryStore(t, func(t *testing.T, s store.Store) {
		h := running(t, s)
		all := h.follow("note", titles, nil, "")
		open := h.follow("note", query.Query{Fields: []string{"title"}, Filter: is(h.set.Type("note").Attribute("state"), "open")}, nil, "")
		ada := h.follow("note", titles, mine{"ada"}, "")
		other := h.follow("page", titles, nil, "")

		h.note(changes.Create, "a1", store.Document{"title": "one", "state": "open", "owner": "ada"})
		all.hears(heard("create", "a1", "one"))
		open.hears(heard("create", "a1", "one"))
		ada.hears(heard("create", "a1", "one"))

		h.note(changes.Create, "a2", store.Document{"title": "two", "state": "done", "owner": "bob"})
		all.hears(heard("create", "a2", "two"))
		h.note(changes.Update, "a2", store.Document{"title": "two", "state": "open", "owner": "bob"})
		all.hears(heard("update", "a2", "two"))
		open.hears(heard("update", "a2", "two"))

		h.note(changes.Update, "a1", store.Document{"title": "one", "state": "done", "owner": "bob"})
		all.hears(heard("update", "a1", "one"))
		open.hears(goes("a1"))
		ada.hears(goes("a1"))

		h.note(changes.Delete, "a1", nil)
		h.note(changes.Delete, "a2", nil)
		all.hears(goes("a1"), goes("a2"))
		open.hears(goes("a2"))

		h.note(changes.Create, "a3", store.Document{"title": "end", "state": "open", "owner": "ada"})
		ada.hears(heard("create", "a3", "end"))
		h.do(changes.Create, "page", "p1", store.Document{"title": "page"}, changes.Change{Status: rows.Published, Locale: "en"})
		other.hears(heard("create", "p1", "page"))
	})
}

func TestDraftsAndLanguagesAreFollowedApart(t *testing.T) {
	s := storetest.NewMemory()
	ensure(t, s)
	h := running(t, s)
	follow := func(q query.Query) *follows { q.Fields = []string{"title"}; return h.follow("page", q, nil, "") }
	published, drafts, german, all := follow(query.Query{}), follow(query.Query{Draft: true}), follow(query.Query{Locale: "de"}), follow(query.Query{Locale: "*"})
	h.do(changes.Create, "page", "p1", store.Document{"title": "x"}, changes.Change{Status: rows.Draft, Locale: "en"})
	h.do(changes.Publish, "page", "p1", store.Document{"title": "x"}, changes.Change{Status: rows.Published, Locale: "en"})
	h.do(changes.Publish, "page", "p1", store.Document{"title": "y"}, changes.Change{Status: rows.Published, Locale: "de"})
	published.hears(heard("publish", "p1", "x"))
	drafts.hears(heard("create", "p1", "x"))
	german.hears(heard("publish", "p1", "y"))
	all.hears(heard("publish", "p1", "x"), heard("publish", "p1", "y"))
	h.do(changes.Delete, "page", "p1", nil, changes.Change{Status: rows.Draft, Locale: "en"})
	h.do(changes.Delete, "page", "p1", nil, changes.Change{Status: rows.Published, Locale: "en"})
	h.do(changes.Delete, "page", "p1", nil, changes.Change{Status: rows.Published, Locale: "de"})
	for _, f := range []*follows{published, drafts, german, all} {
		f.hears(goes("p1"))
	}
}

func TestAnEntryComesWithWhatItRefersTo(t *testing.T) {
	s := storetest.NewMemory()
	ensure(t, s)
	h := running(t, s)
	tag := h.set.Type("note").Attribute("tag")
	name := h.set.Type("tag").Attribute("name")
	h.do(changes.Create, "tag", "t1", store.Document{"name": "red"}, changes.Change{})
	h.do(changes.Create, "tag", "t2", store.Document{"name": "blue"}, changes.Change{})
	f := h.follow("note", query.Query{
		Fields:   []string{"title"},
		Filter:   query.Test{Path: query.Path{Through: tags(tag), Last: name}, Op: query.Eq, Values: []any{"red"}},
		Populate: []query.Populate{{Attribute: tag, Query: query.Query{Fields: []string{"name"}, Page: query.Page{Limit: 10}}}},
	}, nil, "")
	h.note(changes.Create, "a1", store.Document{"title": "one", "tag": "t1"})
	h.note(changes.Create, "a2", store.Document{"title": "two", "tag": "t2"})
	f.hears(`create {"documentId":"a1","entry":{"documentId":"a1","title":"one","tag":{"documentId":"t1","name":"red"}}}`)
	h.note(changes.Update, "a1", store.Document{"title": "one", "tag": "t2"})
	f.hears(goes("a1"))
}

func TestWhatNobodyAskedForIsNotTold(t *testing.T) {
	s := storetest.NewMemory()
	ensure(t, s)
	h := running(t, s)
	h.note(changes.Create, "a1", store.Document{"title": "one", "state": "open", "owner": "bob"})
	h.note(changes.Create, "a2", store.Document{"title": "two", "state": "open", "owner": "ada"})
	f := h.follow("note", query.Query{Fields: []string{"title"}, Filter: is(h.set.Type("note").Attribute("state"), "open")}, mine{"ada"}, "")
	h.note(changes.Update, "a1", store.Document{"title": "one", "state": "done", "owner": "bob"}) // hidden
	h.note(changes.Update, "a2", store.Document{"title": "two", "state": "done", "owner": "ada"}) // visible, and left
	f.hears(goes("a2"))
	h.note(changes.Delete, "a1", nil)
	h.note(changes.Update, "a2", store.Document{"title": "new", "state": "done", "owner": "ada"}) // still not asked for
	h.note(changes.Create, "a3", store.Document{"title": "end", "state": "open", "owner": "ada"})
	f.hears(heard("create", "a3", "end"))
}

func TestAnEntryThatIsLeftAndDeletedBeforeAnybodyLooksIsTold(t *testing.T) {
	s := storetest.NewMemory()
	ensure(t, s)
	h := running(t, s)
	q := query.Query{Fields: []string{"title"}, Filter: is(h.set.Type("note").Attribute("state"), "open")}
	first := h.follow("note", q, nil, "")
	h.note(changes.Create, "a1", store.Document{"title": "one", "state": "open", "owner": "ada"})
	first.hears(heard("create", "a1", "one"))
	first.cancel()
	h.note(changes.Update, "a1", store.Document{"title": "one", "state": "done", "owner": "ada"})
	h.note(changes.Delete, "a1", nil)
	h.note(changes.Create, "a2", store.Document{"title": "two", "state": "open", "owner": "ada"})
	for _, scope := range []access.Scope{nil, mine{"ada"}} {
		h.follow("note", q, scope, first.last).hears(goes("a1"), heard("create", "a2", "two"))
	}
	h.follow("note", titles, mine{"bob"}, first.last)
	bob := h.follow("note", q, mine{"bob"}, first.last)
	h.note(changes.Create, "a3", store.Document{"title": "end", "state": "open", "owner": "bob"})
	bob.hears(heard("create", "a3", "end"))
}

func TestWhoComesAgainMissesNothing(t *testing.T) {
	onEveryStore(t, func(t *testing.T, s store.Store) {
		h := running(t, s)
		f := h.follow("note", titles, nil, "")
		begun := f.last
		h.note(changes.Create, "a1", store.Document{"title": "one"})
		f.hears(heard("create", "a1", "one"))
		f.cancel()
		h.note(changes.Create, "a2", store.Document{"title": "two"})

		again := h.follow("note", titles, nil, f.last) // out of memory
		again.hears(heard("create", "a2", "two"))
		again.cancel()

		other := running(t, s) // as after a restart, or on another host
		for position, want := range map[string][]string{begun: {heard("create", "a1", "one"), heard("create", "a2", "two")}, f.last: {heard("create", "a2", "two")}} {
			back := other.follow("note", titles, nil, position)
			back.hears(want...)
			defer func() { back.hears(heard("create", "a3", "end")) }()
		}
		h.note(changes.Create, "a3", store.Document{"title": "end"})
	})
}

func TestAPositionThatIsNotKeptIsAReset(t *testing.T) {
	onEveryStore(t, func(t *testing.T, s store.Store) {
		h := running(t, s)
		for n, position := range []string{"nonsense", "99999999999", "../..", "ÿ"} {
			f := h.follow("note", titles, nil, position)
			f.hears("reset {}")
			entry := fmt.Sprint("a", n)
			h.note(changes.Create, entry, store.Document{"title": "one"})
			f.hears(heard("create", entry, "one"))
			f.cancel()
		}
	})
}

func TestTwoHostsHearOfEachOther(t *testing.T) {
	for name, address := range engines.Addresses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := address(t)
			a, b := running(t, opened(t, at)), running(t, opened(t, at))
			one, two := a.follow("note", titles, nil, ""), b.follow("note", titles, nil, "")
			a.note(changes.Create, "a1", store.Document{"title": "by a"})
			one.hears(heard("create", "a1", "by a"))
			two.hears(heard("create", "a1", "by a"))
			b.note(changes.Update, "a1", store.Document{"title": "by b"})
			one.hears(heard("update", "a1", "by b"))
			two.hears(heard("update", "a1", "by b"))
		})
	}
}

func TestAStreamOutlivesItsStoreBeingAway(t *testing.T) {
	s := storetest.NewMemory()
	ensure(t, s)
	h := running(t, s)
	f := h.follow("note", titles, nil, "")
	h.note(changes.Create, "a1", store.Document{"title": "one"})
	f.hears(heard("create", "a1", "one"))
	s.SetUnavailable(true)
	late := h.follow("note", titles, nil, f.last)
	s.SetUnavailable(false)
	h.note(changes.Update, "a1", store.Document{"title": "two"})
	f.hears(heard("update", "a1", "two"))
	late.hears(heard("update", "a1", "two"))
}

func TestStreamsEndWithWhatTheyBeganWith(t *testing.T) {
	s := storetest.NewMemory()
	ensure(t, s)
	h := running(t, s)
	f := h.follow("note", titles, nil, "")
	h.Use(h.set)
	f.ends()
	f = h.follow("note", titles, nil, f.last)
	h.note(changes.Create, "a1", store.Document{"title": "one"})
	f.hears(heard("create", "a1", "one"))
	h.Drain()
	f.ends()
}

// editing is a scope that may change the pages of one title.
type editing struct {
	mine
	title string
}

func (e editing) Only(t *schema.Type, a access.Action) query.Expr {
	if a == access.Update {
		return is(t.Attribute("title"), e.title)
	}
	return nil
}

func TestDraftsAreFollowedByThoseAloneWhoMayChangeThem(t *testing.T) {
	s := storetest.NewMemory()
	ensure(t, s)
	h := running(t, s)
	f := h.follow("page", query.Query{Fields: []string{"title"}, Draft: true}, editing{title: "mine"}, "")
	h.do(changes.Create, "page", "p1", store.Document{"title": "theirs"}, changes.Change{Status: rows.Draft, Locale: "en"})
	h.do(changes.Delete, "page", "p1", nil, changes.Change{Status: rows.Draft, Locale: "en"})
	h.do(changes.Create, "page", "p2", store.Document{"title": "mine"}, changes.Change{Status: rows.Draft, Locale: "en"})
	f.hears(heard("create", "p2", "mine"))
}
