// Package changes is the history of the content: who changed which entry, when, in the course of which request. It is also what those hear who follow the
// content as it changes.
//
// In comes what is known of a change. It is written together with the change itself, in one batch, by the room entries.
package changes

import (
	"context"
	"fmt"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// Name is the collection's name.
const Name = "api-changes"

// MaxList is how many changes List returns at most.
const MaxList = 1000

// feed is how long those who follow can be away without missing anything.
const feed = time.Hour

// Action is what was done.
type Action string

// Actions.
const (
	Create  Action = "create"
	Update  Action = "update"
	Publish Action = "publish"
	Delete  Action = "delete"
)

// A Change is one change of one version of an entry.
type Change struct {
	ID      string         // of the change; later ones have greater ids
	Type    string         // the content type's name
	Entry   string         // its document id
	Locale  string         // of localized types
	Status  string         // draft, published; "" of types without drafts
	Action  Action         //
	By      string         // access.Caller.Name
	Request string         // id of the request
	Address string         // of the client
	At      time.Time      //
	Fields  []string       // that changed
	Row     store.Document // that was deleted; nil otherwise
}

// Collection describes where changes are kept, for [store.Store.Ensure]. The field until is when one is forgotten.
func Collection() store.Collection {
	return store.Collection{
		Name:    Name,
		Indexes: []store.Index{{Fields: []string{"type", "entry"}}, {Fields: []string{"by"}}, {Fields: []string{"request"}}},
		Expire:  "until",
		Feed:    feed,
	}
}

// Document is the document of a change, which is forgotten at the time until. Without an id it gets a new one.
func Document(c Change, until time.Time) store.Document {
	if c.ID == "" {
		c.ID = store.NewID()
	}
	d := store.Document{"id": c.ID, "type": c.Type, "entry": c.Entry, "action": string(c.Action), "by": c.By, "at": c.At, "until": until}
	for field, text := range map[string]string{"locale": c.Locale, "status": c.Status, "request": c.Request, "address": c.Address} {
		if text != "" {
			d[field] = text
		}
	}
	if len(c.Fields) > 0 {
		names := make([]any, len(c.Fields))
		for i, name := range c.Fields {
			names[i] = name
		}
		d["fields"] = names
	}
	if c.Row != nil {
		d["row"] = c.Row
	}
	return d
}

// Decode reads a document. What is not there, or is something else, is left out.
func Decode(d store.Document) Change {
	c := Change{
		ID: d.ID(), Type: d.String("type"), Entry: d.String("entry"), Locale: d.String("locale"), Status: d.String("status"), Action: Action(d.String("action")),
		By: d.String("by"), Request: d.String("request"), Address: d.String("address"), At: d.Time("at"), Row: d.Document("row"),
	}
	for _, v := range d.List("fields") {
		if name, ok := v.(string); ok {
			c.Fields = append(c.Fields, name)
		}
	}
	return c
}

// A Filter says which changes are asked for. What is empty is not asked about.
type Filter struct {
	Type, Entry, By, Request string
	Limit                    int    // 1 to MaxList
	After                    string // the id of the last one of the page before
}

// List returns changes, the latest first.
func List(ctx context.Context, s store.Store, f Filter) ([]Change, error) {
	if f.Limit < 1 || f.Limit > MaxList {
		return nil, fmt.Errorf("%d changes can't be listed: 1 to %d at a time: %w", f.Limit, MaxList, fault.Invalid)
	}
	var all store.And
	for _, is := range []struct{ field, value string }{{"type", f.Type}, {"entry", f.Entry}, {"by", f.By}, {"request", f.Request}} {
		if is.value != "" {
			all = append(all, store.Eq(is.field, is.value))
		}
	}
	if f.After != "" {
		all = append(all, store.Lt("id", f.After))
	}
	docs, err := s.Find(ctx, store.Query{Collection: Name, Filter: all, Sort: []store.Order{{Field: "id", Descending: true}}, Limit: f.Limit})
	if err != nil {
		return nil, err
	}
	found := make([]Change, len(docs))
	for i, d := range docs {
		found[i] = Decode(d)
	}
	return found, nil
}
