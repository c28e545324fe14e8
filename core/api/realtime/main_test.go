package realtime

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
	"github.com/onehost/edge/core/store/storetest"
	"go.uber.org/goleak"
)

var (
	engines enginetest.Engines
	quiet   = slog.New(slog.DiscardHandler)
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(engines.Around(m)) }

func opened(t testing.TB, address string) store.Store {
	t.Helper()
	s := enginetest.Opened(t, address)
	ensure(t, s)
	return s
}

func ensure(t testing.TB, s store.Store) {
	t.Helper()
	collections := []store.Collection{changes.Collection()}
	for _, of := range types().Types() {
		collections = append(collections, rows.Collection(of))
	}
	if err := s.Ensure(t.Context(), collections...); err != nil {
		t.Fatal(err)
	}
}

func onEveryStore(t *testing.T, test func(t *testing.T, s store.Store)) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		s := storetest.NewMemory()
		ensure(t, s)
		test(t, s)
	})
	for name, address := range engines.Addresses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, opened(t, address(t)))
		})
	}
}

// types are notes, which have a tag, and pages with drafts in two languages.
func types() *schema.Set {
	text := func(name string) *schema.Attribute { return &schema.Attribute{Name: name, Kind: schema.String} }
	set, err := schema.New([]string{"en", "de"}, []*schema.Type{
		{UID: "api::note.note", Name: "note", Plural: "notes", Attributes: []*schema.Attribute{
			text("title"), text("owner"), text("state"), {Name: "tag", Kind: schema.RelationTo, Relation: schema.ManyToOne, Target: &schema.Type{UID: "api::tag.tag"}},
		}},
		{UID: "api::tag.tag", Name: "tag", Plural: "tags", Attributes: []*schema.Attribute{text("name")}},
		{UID: "api::page.page", Name: "page", Plural: "pages", Drafts: true, Localized: true, Attributes: []*schema.Attribute{text("title")}},
	}, nil)
	if err != nil {
		panic(err)
	}
	return set
}

// house is a Realtime that runs, and its store.
type house struct {
	*Realtime
	testing.TB
	set   *schema.Set
	store store.Store
	stop  func()
}

func running(t testing.TB, s store.Store) *house {
	set := types()
	e := entries.New(entries.Options{Store: s, Log: quiet, History: time.Hour})
	e.Use(set)
	r := New(Options{Store: s, Entries: e, Log: quiet})
	r.Use(set)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stop := func() {
		cancel()
		if err, first := <-ended; first && err != nil {
			t.Error(err)
		}
	}
	h := &house{r, t, set, s, func() { stop(); close(ended) }}
	t.Cleanup(func() { cancel(); <-ended })
	return h
}

// mine is a scope that sees the notes of one owner.
type mine struct{ owner string }

func (mine) May(*schema.Type, access.Action) bool { return true }
func (mine) Stamp(*schema.Type) map[string]any    { return nil }
func (m mine) Only(t *schema.Type, _ access.Action) query.Expr {
	if a := t.Attribute("owner"); a != nil {
		return is(a, m.owner)
	}
	return nil
}

func is(a *schema.Attribute, v any) query.Expr {
	return query.Test{Path: query.Path{Last: a}, Op: query.Eq, Values: []any{v}}
}

// numbers are what clients see as id.
var numbers = regexp.MustCompile(`"id":\d+,`)

// follows is a client.
type follows struct {
	testing.TB
	events chan string
	last   string // event's id
	cancel context.CancelFunc
}

// follow has a client follow a type; it returns when the stream has begun.
func (h *house) follow(of string, q query.Query, s access.Scope, last string) *follows {
	h.Helper()
	t := h.set.Type(of)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeType(w, r, t, &q, s, nil) }))
	ctx, cancel := context.WithCancel(h.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	if err != nil {
		h.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	answer, err := server.Client().Do(r)
	if err != nil {
		h.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		h.Fatal(answer.Status, answer.Header)
	}
	f := &follows{TB: h.TB, events: make(chan string, 1000), cancel: cancel}
	go func() {
		defer close(f.events)
		defer answer.Body.Close()
		event, id := "", ""
		for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case name == "event":
				event = value
			case name == "id":
				id = value
			case name == "data":
				event += " " + numbers.ReplaceAllString(value, "")
			case name == "" && id != "":
				f.events <- cmp.Or(event, "begun") + "|" + id
				event, id = "", ""
			}
		}
	}()
	h.Cleanup(func() { cancel(); server.Close() })
	if last == "" {
		f.hears("begun")
	}
	return f
}

// hears wants these events next, and nothing else between them.
func (f *follows) hears(want ...string) {
	f.Helper()
	for _, want := range want {
		select {
		case got, ok := <-f.events:
			event, id, _ := strings.Cut(got, "|")
			if !ok || event != want {
				f.Fatalf("heard %q, want %q", event, want)
			}
			f.last = id
		case <-time.After(20 * time.Second):
			f.Fatalf("heard nothing, want %q", want)
		}
	}
}

// ends wants nothing more than the end of the stream.
func (f *follows) ends() {
	f.Helper()
	select {
	case got, ok := <-f.events:
		if ok {
			f.Fatalf("heard %q", got)
		}
	case <-time.After(20 * time.Second):
		f.Fatal("the stream goes on")
	}
}

// do carries out a change of an entry, as the room entries would: without attributes it is a delete.
func (h *house) do(action changes.Action, of, entry string, attributes store.Document, c changes.Change) {
	h.Helper()
	t := h.set.Type(of)
	id := rows.RowID(t, entry, c.Locale, c.Status == rows.Draft)
	c.Type, c.Entry, c.Action, c.At = t.Name, entry, action, time.Now()
	before, err := h.store.Get(context.Background(), rows.Name(t), id)
	var write store.Write
	if attributes == nil {
		c.Row, write = before, store.Delete{Collection: rows.Name(t), Filter: store.ID(id)}
	} else {
		row := store.Document{"id": id, rows.DocumentID: entry, rows.Revision: before.Int(rows.Revision) + 1, rows.Number: before.Int(rows.Number)}
		if err != nil {
			row[rows.Number] = time.Now().UnixNano()
		}
		for field, v := range map[string]string{rows.Status: c.Status, rows.Locale: c.Locale} {
			if v != "" {
				row[field] = v
			}
		}
		for name, v := range attributes {
			if row[name] = v; before[name] != v {
				c.Fields = append(c.Fields, name)
			}
		}
		write = store.Put{Collection: rows.Name(t), Document: row}
	}
	_, err = h.store.Apply(context.Background(), write, store.Insert{Collection: changes.Name, Document: changes.Document(c, time.Now().Add(time.Hour))})
	if err != nil {
		h.Fatal(err)
	}
}

func (h *house) note(action changes.Action, entry string, attributes store.Document) {
	h.Helper()
	h.do(action, "note", entry, attributes, changes.Change{})
}

// heard is an event with only the title of a note.
func heard(action, entry, title string) string {
	text, _ := json.Marshal(title)
	return fmt.Sprintf(`%s {"documentId":"%s","entry":{"documentId":"%s","title":%s}}`, action, entry, entry, text)
}

func goes(entry string) string { return fmt.Sprintf(`delete {"documentId":"%s"}`, entry) }

var titles = query.Query{Fields: []string{"title"}}

func tags(a ...*schema.Attribute) []*schema.Attribute { return a }
