package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/onehost/edge/core/api/strapi"
	"github.com/onehost/edge/core/config"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/onehost/edge/core/api"
	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/accounts"
	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/edge/internal/admin"
)

const (
	prepareTimeout = 10 * time.Minute // how long what is kept may take to be brought to new content types
	prepareAgain   = 2 * time.Second  // after the store was away
	prepareSeldom  = time.Minute      // after what is kept contradicted the content types: a person may have mended it
)

// contentPlan is the content API's plan in service, and whether what is kept is as it says. The API answers 503 until it is: the sites, forms and
// webhooks of a host do not wait for a content type.
type contentPlan struct {
	mu      sync.Mutex
	plan    *api.Plan
	some    bool // it has a content API
	trouble error
	changed chan struct{} // closed when there is another plan
}

// set takes a plan into service, of a configuration that has a content API or not.
func (c *contentPlan) set(p *api.Plan, some bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.some = some
	if c.changed != nil {
		close(c.changed)
	}
	c.plan, c.trouble, c.changed = p, nil, make(chan struct{})
}

func (c *contentPlan) get() (*api.Plan, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.plan, c.changed
}

func (c *contentPlan) wanted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.some
}

// failed notes why a plan could not be prepared; nil: it could. It returns what it was before.
func (c *contentPlan) failed(p *api.Plan, err error) (before error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before = c.trouble
	if c.plan == p {
		c.trouble = err
	}
	return before
}

// matters are what needs a person: content types that contradict what is kept.
func (c *contentPlan) matters() []matter {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trouble == nil || errors.Is(c.trouble, fault.Unavailable) { // that the store is away is a matter of its own
		return nil
	}
	return []matter{{"content API", "content API: it answers 503: " + printable(c.trouble.Error(), 600)}}
}

// prepare prepares the plan in service, whichever that is, until ctx is done.
func (c *contentPlan) prepare(ctx context.Context, log *slog.Logger) error {
	for ctx.Err() == nil {
		plan, changed := c.get()
		wait := c.once(ctx, plan, log)
		var again <-chan time.Time
		if wait > 0 {
			again = time.After(wait)
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-again:
		}
	}
	return nil
}

// look sees whether another host has brought what is kept to other types than those of a plan, and returns when to look again.
func (c *contentPlan) look(ctx context.Context, plan *api.Plan, log *slog.Logger) time.Duration {
	err := plan.Look(ctx)
	if before := c.failed(plan, err); err != nil && before == nil && !errors.Is(err, fault.Unavailable) {
		log.Error("the content API answers 503", "err", err)
	}
	return api.LookEvery
}

// once tries to prepare a plan, or looks whether it still is, and returns when to come again.
func (c *contentPlan) once(ctx context.Context, plan *api.Plan, log *slog.Logger) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	if plan.Prepared() {
		return c.look(ctx, plan, log)
	}
	err := plan.Prepare(ctx)
	_ = c.failed(plan, err)
	switch {
	case err == nil:
		return api.LookEvery
	case errors.Is(err, fault.Unavailable):
		return prepareAgain
	}
	log.Error("the content API answers 503: its types contradict what is kept", "err", err)
	return prepareSeldom
}

// prepareContent brings what is kept to the content types of a new configuration, which is refused when they contradict it.
func prepareContent(ctx context.Context, p *api.Plan) error {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	if err := p.Prepare(ctx); err != nil && !errors.Is(err, fault.Unavailable) {
		return fmt.Errorf("api: %w", err)
	}
	return nil // without the store, what is kept is looked at when it is back
}

// loginKey is what logins are signed with, together with what is in the store: nil where hosts share the store and have no key of their own in common.
func loginKey(cfg *config.Config) ([]byte, error) {
	if !cfg.Store.Embedded() && cfg.Store.Key == "" {
		return nil, nil
	}
	return derivedKey(cfg, "api")
}

// pluginEntries is the content API as plugins may use it.
type pluginEntries struct{ api *api.API }

// For is the API for a plugin, whose changes stand in the history under its name.
func (p pluginEntries) For(plugin string, write bool) http.Handler {
	kind := access.ReadOnly
	if write {
		kind = access.FullAccess
	}
	return p.api.For(access.Own("plugin:"+plugin, kind))
}

// Changes returns who has changed what, the latest first.
func (s *server) Changes(ctx context.Context, f changes.Filter) ([]changes.Change, error) {
	return changes.List(ctx, s.store, f)
}

// withContent says that there are no accounts to be asked about.
func (s *server) withContent() error {
	if s.generation().cfg.API == nil {
		return fmt.Errorf("there is no content API in the configuration (api), and so no accounts: %w", fault.NotFound)
	}
	return nil
}

// Users returns accounts, by number.
func (s *server) Users(ctx context.Context, f accounts.Filter) ([]accounts.User, error) {
	if err := s.withContent(); err != nil {
		return nil, err
	}
	return s.modules.api.Accounts.Users(ctx, f)
}

// AddUser makes an account.
func (s *server) AddUser(ctx context.Context, u admin.NewUser) (accounts.User, error) {
	if err := s.withContent(); err != nil {
		return accounts.User{}, err
	}
	made, err := s.modules.api.Accounts.AddUser(ctx, u.Username, u.Email, u.Password, u.Role)
	if err != nil || !u.Blocked {
		return made, err
	}
	made.Blocked = true
	return made, s.modules.api.Accounts.Block(ctx, made.DocumentID, true)
}

// ChangeUser changes an account.
func (s *server) ChangeUser(ctx context.Context, who string, c admin.UserChange) error {
	if err := s.withContent(); err != nil {
		return err
	}
	all := s.modules.api.Accounts
	if c.Role != nil {
		if err := all.SetRole(ctx, who, *c.Role); err != nil {
			return err
		}
	}
	if c.Blocked != nil {
		if err := all.Block(ctx, who, *c.Blocked); err != nil {
			return err
		}
	}
	if c.Password != nil {
		return all.SetPassword(ctx, who, *c.Password)
	}
	if c.Logout {
		_, err := all.EndSessions(ctx, who)
		return err
	}
	return nil
}

// RemoveUser removes an account.
func (s *server) RemoveUser(ctx context.Context, who string) error {
	if err := s.withContent(); err != nil {
		return err
	}
	return s.modules.api.Accounts.Remove(ctx, who)
}

// Tokens returns the API tokens, by name.
func (s *server) Tokens(ctx context.Context) ([]accounts.Token, error) {
	if err := s.withContent(); err != nil {
		return nil, err
	}
	return s.modules.api.Accounts.Tokens(ctx)
}

// CreateToken makes an API token.
func (s *server) CreateToken(ctx context.Context, t admin.NewToken) (string, error) {
	if err := s.withContent(); err != nil {
		return "", err
	}
	return s.modules.api.Accounts.CreateToken(ctx, t.Name, t.Kind, t.Permissions, t.Expires)
}

// RevokeToken ends an API token.
func (s *server) RevokeToken(ctx context.Context, name string) error {
	if err := s.withContent(); err != nil {
		return err
	}
	return s.modules.api.Accounts.RevokeToken(ctx, name)
}

// RotateKey has logins signed with a new key.
func (s *server) RotateKey(ctx context.Context, atOnce bool) error {
	if err := s.withContent(); err != nil {
		return err
	}
	return s.modules.api.Accounts.Rotate(ctx, atOnce)
}

// Import takes over the records of a Strapi, one a line.
func (s *server) Import(ctx context.Context, from io.Reader, told func([]strapi.Result) error) error {
	return s.modules.api.Import(ctx, from, told)
}

// ImportFile keeps a file of a Strapi under its name.
func (s *server) ImportFile(ctx context.Context, name string, size int64, from io.Reader) (bool, error) {
	return s.modules.api.ImportFile(ctx, name, size, from)
}

// The metrics of the content API. What it is asked for is in edge_requests_total, by its host.
var (
	contentReady   = prometheus.NewDesc("edge_api_ready", "Whether the content API answers; 0 while what is kept contradicts its types.", nil, nil)
	contentStreams = prometheus.NewDesc("edge_api_streams", "Streams of events that are followed.", nil, nil)
)

func describeContent(ch chan<- *prometheus.Desc) {
	ch <- contentReady
	ch <- contentStreams
}

// collectContent reports nothing when there is no content API.
func (m *modules) collectContent(ch chan<- prometheus.Metric) {
	if !m.content.wanted() {
		return
	}
	ready := 0.0
	if m.api.Ready() {
		ready = 1
	}
	ch <- prometheus.MustNewConstMetric(contentReady, prometheus.GaugeValue, ready)
	ch <- prometheus.MustNewConstMetric(contentStreams, prometheus.GaugeValue, float64(m.api.Streams()))
}
