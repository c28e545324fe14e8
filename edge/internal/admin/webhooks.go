package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/webhooks"
	"github.com/onehost/edge/core/webhooks/inbox"
	"github.com/onehost/edge/plugins/host"
	"github.com/uptrace/bunrouter"
)

// Webhooks is what the API asks of the inbox and of plugins.
type Webhooks interface {
	Sources(ctx context.Context) ([]Source, error)
	Deliveries(ctx context.Context, f inbox.Filter) ([]inbox.Delivery, error)
	Delivery(ctx context.Context, id string) (inbox.Delivery, error)
	// Redeliver has deliveries handled again, and returns which; in a dry run only that.
	Redeliver(ctx context.Context, s inbox.Selection, dryRun bool) ([]string, error)
	// Doctor says what is wrong with what a source has sent last and was refused.
	Doctor(ctx context.Context, source string) (webhooks.Report, error)
	Plugins() []host.Status
	ReloadPlugin(ctx context.Context, name string) error
}

// Source is a source of webhooks, and what was received of it.
type Source struct {
	inbox.Count
	Verify    string            `json:"verify"` // how its deliveries are verified
	Plugin    string            `json:"plugin,omitempty"`
	Expect    string            `json:"expect,omitempty"` // how long it may be silent
	UnderWay  int               `json:"under_way"`        // deliveries that the plugin has now
	Paused    bool              `json:"paused"`           // its plugin is away
	LastError string            `json:"last_error,omitempty"`
	Requests  map[string]uint64 `json:"requests"` // since the start, by what became of them
}

func webhookRoutes(router *bunrouter.Router, o Operations) {
	router.GET("/v1/webhooks", answer(func(r bunrouter.Request) (any, error) { return o.Sources(r.Context()) }))
	router.GET("/v1/webhooks/:name/doctor", answer(func(r bunrouter.Request) (any, error) { return doctor(o, r) }))
	router.GET("/v1/deliveries", answer(func(r bunrouter.Request) (any, error) { return listDeliveries(o, r) }))
	router.GET("/v1/deliveries/:id", answer(func(r bunrouter.Request) (any, error) { return oneDelivery(o, r) }))
	router.POST("/v1/redeliver", answer(func(r bunrouter.Request) (any, error) { return redeliver(o, r) }))
	router.GET("/v1/plugins", answer(func(bunrouter.Request) (any, error) { return o.Plugins(), nil }))
	router.POST("/v1/plugins/:name/reload", answer(func(r bunrouter.Request) (any, error) { return nil, reloadPlugin(o, r) }))
}

// named is a parameter of the path: bunrouter matches the path as it was sent.
func named(r bunrouter.Request, parameter string) (string, error) {
	name, err := url.PathUnescape(r.Param(parameter))
	if err != nil {
		return "", &Error{fault.Invalid, err.Error()}
	}
	return name, nil
}

func doctor(o Operations, r bunrouter.Request) (webhooks.Report, error) {
	name, err := named(r, "name")
	if err != nil {
		return webhooks.Report{}, err
	}
	report, err := o.Doctor(r.Context(), name)
	return report, coded(err)
}

func reloadPlugin(o Operations, r bunrouter.Request) error {
	name, err := named(r, "name")
	if err != nil {
		return err
	}
	return coded(o.ReloadPlugin(r.Context(), name))
}

func oneDelivery(o Operations, r bunrouter.Request) (inbox.Delivery, error) {
	id, err := named(r, "id")
	if err != nil {
		return inbox.Delivery{}, err
	}
	found, err := o.Delivery(r.Context(), id)
	return found, coded(err)
}

func listDeliveries(o Operations, r bunrouter.Request) ([]inbox.Delivery, error) {
	f, err := filterOf(r.URL.Query())
	if err != nil {
		return nil, err
	}
	found, err := o.Deliveries(r.Context(), f)
	return found, coded(err)
}

func redeliver(o Operations, r bunrouter.Request) ([]string, error) {
	query := r.URL.Query()
	f, err := filterOf(query)
	if err != nil {
		return nil, err
	}
	ids, err := o.Redeliver(r.Context(), inbox.Selection{IDs: query["id"], Filter: f}, query.Has("dry"))
	return ids, coded(err)
}

func filterOf(query url.Values) (f inbox.Filter, err error) {
	f = inbox.Filter{Source: query.Get("source"), Type: query.Get("type"), State: inbox.State(query.Get("state")), After: query.Get("after")}
	for name, at := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		if text := query.Get(name); text != "" {
			if *at, err = time.Parse(time.RFC3339, text); err != nil {
				return f, &Error{fault.Invalid, name + ": " + err.Error()}
			}
		}
	}
	if limit := query.Get("limit"); limit != "" {
		if f.Limit, err = strconv.Atoi(limit); err != nil {
			return f, &Error{fault.Invalid, "limit: " + err.Error()}
		}
	}
	return f, nil
}

func queryOf(f inbox.Filter) url.Values {
	query := url.Values{}
	for name, value := range map[string]string{"source": f.Source, "type": f.Type, "state": string(f.State), "after": f.After} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"since": f.Since, "until": f.Until} {
		if !at.IsZero() {
			query.Set(name, at.Format(time.RFC3339))
		}
	}
	if f.Limit != 0 {
		query.Set("limit", strconv.Itoa(f.Limit))
	}
	return query
}

// Sources returns the sources of webhooks.
func (c *Client) Sources(ctx context.Context) (all []Source, err error) {
	return all, c.call(ctx, http.MethodGet, "/v1/webhooks", nil, &all)
}

// Deliveries returns those that a filter asks for, the newest first, without what was sent.
func (c *Client) Deliveries(ctx context.Context, f inbox.Filter) (found []inbox.Delivery, err error) {
	return found, c.call(ctx, http.MethodGet, "/v1/deliveries?"+queryOf(f).Encode(), nil, &found)
}

// Delivery returns one delivery, whole.
func (c *Client) Delivery(ctx context.Context, id string) (found inbox.Delivery, err error) {
	return found, c.call(ctx, http.MethodGet, "/v1/deliveries/"+url.PathEscape(id), nil, &found)
}

// Redeliver has deliveries handled again, and returns which.
func (c *Client) Redeliver(ctx context.Context, s inbox.Selection, dryRun bool) (ids []string, err error) {
	query := queryOf(s.Filter)
	query["id"] = s.IDs
	if dryRun {
		query.Set("dry", "1")
	}
	return ids, c.call(ctx, http.MethodPost, "/v1/redeliver?"+query.Encode(), nil, &ids)
}

// Doctor says what is wrong with what a source has sent last and was refused.
func (c *Client) Doctor(ctx context.Context, source string) (report webhooks.Report, err error) {
	return report, c.call(ctx, http.MethodGet, "/v1/webhooks/"+url.PathEscape(source)+"/doctor", nil, &report)
}

// Plugins returns what is known of every plugin.
func (c *Client) Plugins(ctx context.Context) (all []host.Status, err error) {
	return all, c.call(ctx, http.MethodGet, "/v1/plugins", nil, &all)
}

// ReloadPlugin takes a new build of a plugin into service.
func (c *Client) ReloadPlugin(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodPost, "/v1/plugins/"+url.PathEscape(name)+"/reload", nil, nil)
}
