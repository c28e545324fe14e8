package entries

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
)

var anything Change

// wantProblem wants a problem of a status, with a message.
func wantProblem(t *testing.T, err error, status int, message string) *problem.Error {
	t.Helper()
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Status != status || p.Message != message {
		t.Fatalf("%v, want %d %s", err, status, message)
	}
	return p
}

func wantValues(t *testing.T, row store.Document, want store.Document) {
	t.Helper()
	for name, v := range want {
		if !reflect.DeepEqual(row[name], v) {
			t.Errorf("%s is %#v, want %#v", name, row[name], v)
		}
	}
}

func TestANewEntryHasItsVersions(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		by := access.Caller{RequestID: "r1"}
		id := d.create(t, d.article, Change{By: by}, `{"title": "one", "views": 9007199254740993}`)
		draft, public := d.row(t, d.article, id+".draft"), d.row(t, d.article, id)
		wantValues(t, draft, store.Document{"title": "one", "views": int64(9007199254740993), rows.Status: "draft", rows.Number: int64(1), rows.Revision: int64(1), rows.DocumentID: id, rows.PublishedAt: nil})
		wantValues(t, public, store.Document{"title": "one", rows.Status: "published", rows.Number: int64(2), rows.Revision: int64(1)})
		if public.Time(rows.PublishedAt).IsZero() || !public.Time(rows.CreatedAt).Equal(draft.Time(rows.CreatedAt)) {
			t.Error(public)
		}
		if got, want := d.history(t, id), "create draft [title views seos] by edge\npublish published [title views seos] by edge"; got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
		found, err := changes.List(patient(t), d.s, changes.Filter{Request: "r1", Type: "article", By: "edge", Limit: 1})
		if err != nil || len(found) != 1 || found[0].Status != "published" {
			t.Error(found, err)
		}
		only := d.create(t, d.article, Change{Draft: true}, `{"title": null}`)
		if d.row(t, d.article, only) != nil || d.row(t, d.article, only+".draft") == nil {
			t.Error("a draft alone is not one")
		}
		tag := d.row(t, d.tag, d.create(t, d.tag, anything, `{"name": "go"}`))
		if tag.Time(rows.PublishedAt).IsZero() || tag[rows.Status] != nil {
			t.Error(tag)
		}
	})
}

func TestAnUpdateKeepsTheRestAndPublishesTheDraft(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		id := d.create(t, d.article, Change{Draft: true}, `{"title": "one", "body": "b"}`)
		d.update(t, d.article, id, Change{Draft: true}, `{"views": 5}`)
		if d.row(t, d.article, id) != nil {
			t.Error("a draft was published")
		}
		d.update(t, d.article, id, anything, `{"body": null}`)
		wantValues(t, d.row(t, d.article, id), store.Document{"title": "one", "body": nil, "views": int64(5), rows.Revision: int64(1)})
		d.update(t, d.article, id, Change{Draft: true}, `{"views": 6}`)
		wantValues(t, d.row(t, d.article, id), store.Document{"views": int64(5)})
		wantValues(t, d.row(t, d.article, id+".draft"), store.Document{"views": int64(6), "body": nil, rows.Revision: int64(4)})
		d.update(t, d.article, id, anything, `{}`)
		wantValues(t, d.row(t, d.article, id), store.Document{"views": int64(6), rows.Revision: int64(2)})

		d.update(t, d.article, id, Change{Draft: true}, `{"title": null}`)
		err := d.Update(patient(t), d.article, id, sent(t, `{"views": 1}`), anything)
		wantProblem(t, err, 400, "title must be a `string` type, but the final value was: `null`.")
		err = d.Update(patient(t), d.article, rows.NewDocumentID(), sent(t, `{}`), anything)
		wantProblem(t, err, 404, "Not Found")
		err = d.Update(patient(t), d.article, id+".draft", sent(t, `{}`), anything)
		wantProblem(t, err, 404, "Not Found")
	})
}

// An attribute that was removed may come back, and another host may know one already that this one does not.
func TestAChangeLeavesWhatItDoesNotKnow(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		id := d.create(t, d.article, Change{Draft: true}, `{"title": "one", "body": "b", "seo": {"head": "h"}}`)
		seo := d.row(t, d.article, id+".draft").Document("seo")
		seo["unseen"] = "x"
		unseen := store.Change{Set: store.Document{"unseen": int64(7), "seo": seo}}
		if _, err := d.s.Apply(patient(t), store.Update{Collection: rows.Name(d.article), Filter: store.ID(id + ".draft"), Change: unseen, Must: 1}); err != nil {
			t.Fatal(err)
		}
		d.update(t, d.article, id, anything, `{"body": null, "seo": {"id": %s, "head": "other"}}`, fmt.Sprint(seo.Int(rows.Number)))
		for _, row := range []string{id, id + ".draft"} {
			got := d.row(t, d.article, row)
			wantValues(t, got, store.Document{"unseen": int64(7), "body": nil})
			wantValues(t, got.Document("seo"), store.Document{"unseen": "x", "head": "other"})
		}
	})
}

func TestAValueThatMustBeUniqueIsSo(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		d.create(t, d.article, anything, `{"title": "one"}`)
		two := d.create(t, d.article, anything, `{"title": "two"}`)
		_, err := d.Create(patient(t), d.article, sent(t, `{"title": "one"}`), anything)
		p := wantProblem(t, err, 400, "This attribute must be unique")
		want := map[string][]problem.Field{"errors": {{Path: []any{"title"}, Message: p.Message, Name: "ValidationError", Value: "one"}}}
		if !reflect.DeepEqual(p.Details, want) {
			t.Error(p.Details)
		}
		err = d.Update(patient(t), d.article, two, sent(t, `{"title": "one"}`), anything)
		wantProblem(t, err, 400, "This attribute must be unique")
		d.update(t, d.article, two, anything, `{"title": "two"}`)
	})
}

func TestOfManyWithTheSameUniqueValueOneIsMade(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		const many = 32
		errs := make(chan error, many)
		for range many {
			go func() {
				_, err := d.Create(patient(t), d.article, sent(t, `{"title": "mine"}`), anything)
				errs <- err
			}()
		}
		made := 0
		for range many {
			if err := <-errs; err == nil {
				made++
			} else if p, ok := errors.AsType[*problem.Error](err); !ok || p.Status != 400 {
				t.Error(err)
			}
		}
		if n, _ := d.s.Count(patient(t), rows.Name(d.article), nil); made != 1 || n != 2 {
			t.Errorf("%d were made, with %d rows", made, n)
		}
	})
}

func TestChangesOfDifferentFieldsAllSurvive(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		second := newDesk(t, d.s) // another host
		id := d.create(t, d.team, anything, `{"name": "a"}`)
		const rounds = 4
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for n := range rounds {
					host := []*desk{d, second}[(i+n)%2]
					if err := host.Update(patient(t), d.team, id, sent(t, `{"f%d": %d}`, i, n+1), anything); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		row := d.row(t, d.team, id)
		for i := range 8 {
			wantValues(t, row, store.Document{fmt.Sprint("f", i): int64(rounds)})
		}
		wantValues(t, row, store.Document{rows.Revision: int64(1 + 8*rounds)})
	})
}

func TestNumbersAreGivenOnceByAllHosts(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		hosts := []*desk{d, newDesk(t, d.s), newDesk(t, d.s)}
		var mu sync.Mutex
		given := map[int64]bool{}
		var all sync.WaitGroup
		for _, host := range hosts {
			for range 4 {
				all.Go(func() {
					for i := range 20 {
						count := int64(i%3 + 1)
						first, err := host.numbers.take(patient(t), "x", count)
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						for n := first; n < first+count; n++ {
							if given[n] || n < 1 {
								t.Errorf("%d was given twice", n)
							}
							given[n] = true
						}
						mu.Unlock()
					}
				})
			}
		}
		all.Wait()
	})
}

func TestNumbersThatCameFromElsewhereAreNotGivenAgain(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		d.create(t, d.tag, anything, `{"name": "a"}`)
		for n := range 40 {
			id := fmt.Sprint("old", n)
			row := store.Document{"id": id, rows.DocumentID: id, rows.Number: int64(n + 2), rows.Revision: int64(1), "name": id}
			if _, err := d.s.Apply(patient(t), store.Insert{Collection: rows.Name(d.tag), Document: row}); err != nil {
				t.Fatal(err)
			}
		}
		wantValues(t, d.row(t, d.tag, d.create(t, d.tag, anything, `{"name": "b"}`)), store.Document{rows.Number: int64(42)})
		if err := d.Reserve(patient(t), d.tag, 1000); err != nil {
			t.Fatal(err)
		}
		wantValues(t, d.row(t, d.tag, d.create(t, d.tag, anything, `{"name": "c"}`)), store.Document{rows.Number: int64(1001)})
	})
}

func TestAnEntryIsOnlyChangedWhenItIsTheOneThatWasRead(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		id := d.create(t, d.article, anything, `{"title": "one"}`)
		d.update(t, d.article, id, Change{Draft: true}, `{"views": 1}`)
		d.update(t, d.article, id, Change{IfMatch: "1"}, `{"views": 2}`)
		err := d.Update(patient(t), d.article, id, sent(t, `{"views": 3}`), Change{IfMatch: "1"})
		wantProblem(t, err, http.StatusPreconditionFailed, problem.Changed().Message)
		err = d.Update(patient(t), d.article, id, sent(t, `{"views": 3}`), Change{IfMatch: "2", Draft: true})
		wantProblem(t, err, http.StatusPreconditionFailed, problem.Changed().Message)
		_, err = d.Delete(patient(t), d.article, id, Change{IfMatch: "7"})
		wantProblem(t, err, http.StatusPreconditionFailed, problem.Changed().Message)
		if found, err := d.Delete(patient(t), d.article, id, Change{IfMatch: "2"}); !found || err != nil {
			t.Error(found, err)
		}
	})
}

func TestOfManyWhoReadTheSameOneChangesIt(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		second := newDesk(t, d.s)
		id := d.create(t, d.team, anything, `{}`)
		const many = 8
		errs := make(chan error, many)
		for i := range many {
			go func() {
				host := []*desk{d, second}[i%2]
				errs <- host.Update(patient(t), d.team, id, sent(t, `{"f0": %d}`, i), Change{IfMatch: "1"})
			}()
		}
		changed := 0
		for range many {
			if err := <-errs; err == nil {
				changed++
			} else if p, ok := errors.AsType[*problem.Error](err); !ok || p.Status != http.StatusPreconditionFailed {
				t.Error(err)
			}
		}
		if changed != 1 {
			t.Errorf("%d changed it", changed)
		}
	})
}

func TestADeletedEntryIsRememberedWithoutItsPasswords(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		id := d.create(t, d.article, anything, `{"title": "one", "secret": "s3cret"}`)
		if hash := d.row(t, d.article, id).String("secret"); !strings.HasPrefix(hash, "$argon2id$") {
			t.Error(hash)
		}
		found, err := d.Delete(patient(t), d.article, id, anything)
		if !found || err != nil || d.row(t, d.article, id) != nil || d.row(t, d.article, id+".draft") != nil {
			t.Error(found, err)
		}
		list, err := changes.List(patient(t), d.s, changes.Filter{Entry: id, Limit: 2})
		if err != nil || len(list) != 2 {
			t.Fatal(list, err)
		}
		for _, c := range list {
			if c.Action != changes.Delete || c.Row["title"] != "one" || c.Row["secret"] != nil {
				t.Error(c)
			}
		}
		if found, err := d.Delete(patient(t), d.article, id, anything); found || err != nil {
			t.Error(found, err)
		}
	})
}

func TestOneOwnsOnlyWhatIsHis(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		mine := is(d.article, "body", "mine")
		s := reader{stamps: map[string]any{"body": "mine"}, only: map[access.Action]query.Expr{access.Update: mine, access.Delete: mine}}
		his := d.create(t, d.article, Change{Scope: s}, `{"title": "one", "body": "other"}`)
		wantValues(t, d.row(t, d.article, his), store.Document{"body": "mine"})
		d.update(t, d.article, his, Change{Scope: s}, `{"views": 1}`)
		err := d.Update(patient(t), d.article, his, sent(t, `{"body": "other"}`), Change{Scope: s})
		wantProblem(t, err, 403, "Forbidden")

		other := d.create(t, d.article, anything, `{"title": "two", "body": "other"}`)
		err = d.Update(patient(t), d.article, other, sent(t, `{"body": "mine"}`), Change{Scope: s})
		wantProblem(t, err, 403, "Forbidden")
		_, err = d.Delete(patient(t), d.article, other, Change{Scope: s})
		wantProblem(t, err, 403, "Forbidden")

		s.only[access.FindOne] = mine
		err = d.Update(patient(t), d.article, other, sent(t, `{"views": 1}`), Change{Scope: s})
		wantProblem(t, err, 404, "Not Found")
		if found, err := d.Delete(patient(t), d.article, other, Change{Scope: s}); found || err != nil {
			t.Error(found, err)
		}
		s.never = "article"
		_, err = d.Create(patient(t), d.article, sent(t, `{"title": "three"}`), Change{Scope: s})
		wantProblem(t, err, 403, "Forbidden")
	})
}

func TestTheEntryOfASingleTypeIsMadeOnce(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		second := newDesk(t, d.s)
		const many = 8
		var made sync.Map
		var all sync.WaitGroup
		for i := range many {
			all.Go(func() {
				created, err := []*desk{d, second}[i%2].Put(patient(t), d.home, sent(t, `{"heading": "h%d"}`, i), anything)
				if err != nil {
					t.Error(err)
				}
				if created {
					made.Store(i, true)
				}
			})
		}
		all.Wait()
		n := 0
		made.Range(func(any, any) bool { n++; return true })
		if rows, _ := d.s.Count(patient(t), rows.Name(d.home), nil); n != 1 || rows != 1 {
			t.Errorf("made %d times, %d rows", n, rows)
		}
	})
}

func TestWhatIsNotLocalizedIsTheSameInAllLocales(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		id := d.create(t, d.page, anything, `{"title": "Hello", "code": "c1"}`)
		d.update(t, d.page, id, Change{Locale: "fr"}, `{"title": "Bonjour"}`)
		wantValues(t, d.row(t, d.page, id+".fr"), store.Document{"title": "Bonjour", "code": "c1", rows.Locale: "fr"})
		d.update(t, d.page, id, Change{Locale: "fr"}, `{"title": "Salut", "code": "c2"}`)
		wantValues(t, d.row(t, d.page, id+".en"), store.Document{"title": "Hello", "code": "c2", rows.Revision: int64(2)})
		_, err := d.Create(patient(t), d.page, sent(t, `{"title": "x", "code": "x"}`), Change{Locale: "de"})
		wantProblem(t, err, 400, `There is no locale "de"`)
		if found, err := d.Delete(patient(t), d.page, id, Change{Locale: "fr"}); !found || err != nil || d.row(t, d.page, id+".en") == nil || d.row(t, d.page, id+".fr") != nil {
			t.Error(found, err)
		}
	})
}

func TestComponentsKeepTheirNumbers(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		tag := d.create(t, d.tag, anything, `{"name": "go"}`)
		id := d.create(t, d.article, anything, `{"title": "one", "seo": {"head": "a", "note": "n", "tag": %q}, "seos": [{"head": "b"}, {"head": "c"}]}`, tag)
		seo := d.row(t, d.article, id).Document("seo")
		wantValues(t, seo, store.Document{"head": "a", "note": "n", "tag": tag})
		n := seo.Int(rows.Number)
		if n < 1 {
			t.Fatal(seo)
		}
		d.update(t, d.article, id, anything, `{"seo": {"id": %d, "head": "z"}}`, n)
		wantValues(t, d.row(t, d.article, id).Document("seo"), store.Document{"head": "z", "note": "n", "tag": tag, rows.Number: n})
		d.update(t, d.article, id, anything, `{"seo": {"id": 999, "head": "new"}}`)
		seo = d.row(t, d.article, id).Document("seo")
		if m := seo.Int(rows.Number); m == n || m == 999 || seo["note"] != nil {
			t.Error(seo)
		}
	})
}

func TestNobodyWritesAsTypesWantItThatAreNotInForceAnyMore(t *testing.T) {
	d := newDesk(t, storetest.NewMemory())
	id := d.create(t, d.article, anything, `{"title": "one"}`)
	d.Halt(d.set)
	_, err := d.Create(patient(t), d.article, sent(t, `{"title": "two"}`), anything)
	updated := d.Update(patient(t), d.article, id, sent(t, `{"title": "three"}`), anything)
	_, deleted := d.Delete(patient(t), d.article, id, anything)
	for _, err := range []error{err, updated, deleted} {
		if fault.CodeOf(err) != fault.Unavailable {
			t.Error(err)
		}
	}
	next := newDesk(t, d.s)
	d.Use(next.set)
	d.update(t, next.article, id, anything, `{"title": "four"}`)
	d.Halt(nil)
	d.update(t, d.article, id, anything, `{"title": "five"}`)
}
