package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/fault"
	"github.com/uptrace/bunrouter"
)

// Content is what the API asks of the content API.
type Content interface {
	// Changes returns who has changed what, the latest first.
	Changes(ctx context.Context, f changes.Filter) ([]changes.Change, error)
}

// Change is one change of one version of an entry.
type Change struct {
	ID      string    `json:"id"`
	Type    string    `json:"type"`
	Entry   string    `json:"entry"` // its documentId
	Locale  string    `json:"locale,omitempty"`
	Status  string    `json:"status,omitempty"` // draft or published, of types with drafts
	Action  string    `json:"action"`
	By      string    `json:"by"`
	Request string    `json:"request,omitempty"`
	Address string    `json:"address,omitempty"`
	At      time.Time `json:"at"`
	Fields  []string  `json:"fields"`
}

func contentRoutes(router *bunrouter.Router, o Operations) {
	router.GET("/v1/changes", answer(func(r bunrouter.Request) (any, error) { return listChanges(o, r) }))
}

func listChanges(o Operations, r bunrouter.Request) ([]Change, error) {
	query := r.URL.Query()
	f := changes.Filter{Type: query.Get("type"), Entry: query.Get("entry"), By: query.Get("by"), Request: query.Get("request"), After: query.Get("after")}
	var err error
	if f.Limit, err = strconv.Atoi(query.Get("limit")); err != nil {
		return nil, &Error{fault.Invalid, "limit: " + err.Error()}
	}
	found, err := o.Changes(r.Context(), f)
	if err != nil {
		return nil, coded(err)
	}
	told := make([]Change, len(found))
	for i, c := range found {
		told[i] = Change{
			ID: c.ID, Type: c.Type, Entry: c.Entry, Locale: c.Locale, Status: c.Status, Action: string(c.Action),
			By: c.By, Request: c.Request, Address: c.Address, At: c.At, Fields: append([]string{}, c.Fields...),
		}
	}
	return told, nil
}

// Changes returns who has changed what, the latest first.
func (c *Client) Changes(ctx context.Context, f changes.Filter) (found []Change, err error) {
	query := url.Values{"limit": {strconv.Itoa(f.Limit)}}
	for name, value := range map[string]string{"type": f.Type, "entry": f.Entry, "by": f.By, "request": f.Request, "after": f.After} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return found, c.call(ctx, http.MethodGet, "/v1/changes?"+query.Encode(), nil, &found)
}
