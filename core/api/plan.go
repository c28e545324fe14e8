package api

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/accounts"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/migrate"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/config"
)

// bucketTimeout bounds looking for the credentials of a bucket.
const bucketTimeout = 10 * time.Second

// Plan is a configuration that is ready to be taken into service.
type Plan struct {
	api  *API
	next *service // nil: there is no content API

	changed []string
}

// Changed says in words what the last Prepare has changed of content types.
func (p *Plan) Changed() []string { return p.changed }

// Plan reads the content types of a configuration, and checks them. It leaves the store alone.
func (a *API) Plan(cfg *config.Config) (*Plan, error) {
	if cfg.API == nil {
		return &Plan{api: a}, nil
	}
	set, problems := load(cfg)
	if !config.Failed(problems) {
		problems = append(problems, access.Check(cfg, set)...)
	}
	var wrong []error
	for _, p := range problems {
		if !p.Warning {
			wrong = append(wrong, p)
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	next, err := a.newService(cfg.API, set)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	return &Plan{api: a, next: next}, nil
}

// Prepare brings what is kept to the content types of the plan. The error, when they contradict what is kept, says what to do.
func (p *Plan) Prepare(ctx context.Context) error {
	if p.next == nil {
		return nil
	}
	defer p.next.once.Do(func() { close(p.next.tried) })
	s := p.api.Store
	if err := s.Ensure(ctx, entries.Collections()...); err != nil {
		return err
	}
	steps, err := migrate.Plan(ctx, s, p.next.set)
	if err != nil {
		return err
	}
	p.changed = steps.Summary()
	for _, step := range p.changed {
		p.api.Log.Info("content types change", "what", step)
	}
	if err := p.api.migrate(ctx, steps, p.next); err != nil {
		return err
	}
	if err := p.prepareRooms(ctx); err != nil {
		return err
	}
	p.next.ready.Store(true)
	p.next.prepared.Store(true)
	p.api.once.Do(func() { close(p.api.prepared) })
	return nil
}

// prepareRooms makes what accounts and files need with the new types, and has requests go on with those of before until the plan is committed.
func (p *Plan) prepareRooms(ctx context.Context) error {
	if before := p.api.service.Load(); before != nil {
		defer func() { _ = p.api.use(context.WithoutCancel(ctx), before) }() // as it could be used
	}
	if err := p.api.use(ctx, p.next); err != nil {
		return err
	}
	return p.api.Accounts.Prepare(ctx)
}

// use has the rooms go on with the types and the configuration of a service. The error is that files can't be kept.
func (a *API) use(ctx context.Context, s *service) error {
	ctx, cancel := context.WithTimeout(ctx, bucketTimeout)
	defer cancel()
	a.Entries.Use(s.set)
	a.Entries.Remember(s.config.History)
	a.Accounts.Use(s.config, s.set, s.policy)
	return a.uploads.Use(ctx, s.config.Uploads, s.set)
}

// Commit takes the plan into service. A request keeps the plan that it began with. Until the plan has been prepared, requests are answered with 503.
func (p *Plan) Commit() {
	a, next := p.api, p.next
	if next == nil {
		a.service.Store(nil)
		return
	}
	if err := a.use(context.Background(), next); err != nil {
		a.Log.Error("files can't be kept", "err", err)
	}
	a.realtime.Use(next.set)
	a.service.Store(next)
}

// Check says what is wrong with the content types of a configuration, and with who may do what with them.
func Check(cfg *config.Config) []config.Problem {
	if cfg.API == nil {
		return nil
	}
	set, problems := load(cfg)
	if config.Failed(problems) {
		return problems
	}
	problems = append(problems, access.Check(cfg, set)...)
	if _, err := (&API{Accounts: accounts.New(accounts.Options{})}).newService(cfg.API, set); err != nil {
		problems = append(problems, cfg.Problem(err.Error(), "api", "schemas"))
	}
	return problems
}

func load(cfg *config.Config) (*schema.Set, []config.Problem) {
	set, found := schema.Load(cfg.API.Schemas, cfg.API.Locales)
	problems := make([]config.Problem, len(found))
	for i, p := range found {
		problems[i] = config.Problem{File: asNamed(cfg, p.File), Line: p.Line, Col: p.Col, Message: p.Message, Warning: p.Warning}
		if p.File == cfg.API.Schemas { // the folder: what is wrong is where it is named
			problems[i] = cfg.Problem(problems[i].File+": "+p.Message, "api", "schemas")
		}
	}
	return set, problems
}

// asNamed is a file's path as that of the configuration was given: from the working directory, or from the root.
func asNamed(cfg *config.Config, file string) string {
	if len(cfg.Files) == 0 || filepath.IsAbs(cfg.Files[0]) {
		return file
	}
	here, err := os.Getwd()
	if err != nil {
		return file
	}
	if near, err := filepath.Rel(here, file); err == nil && filepath.IsLocal(near) {
		return near
	}
	return file
}

// A service is a configuration in service. It does not change, but for ready.
type service struct {
	*API
	config   *config.API
	set      *schema.Set
	policy   *access.Policy
	routes   *routes
	ready    atomic.Bool // what is kept is as the set says
	prepared atomic.Bool // it was once
	once     sync.Once
	tried    chan struct{} // closed when it was tried to have it so
}

// reserved are the first segments of paths that every api has.
var reserved = []string{"auth", "connect", "realtime", "upload", "uploads", "users", "users-permissions"}

func (a *API) newService(c *config.API, set *schema.Set) (*service, error) {
	for _, t := range set.Types() {
		if path := pathOf(t); !t.Builtin && slices.Contains(reserved, path) {
			return nil, fmt.Errorf("%s can't have the path %s, where every api has something else; give it another name", t.UID, path)
		}
	}
	s := &service{API: a, config: c, set: set, policy: access.New(c, set), tried: make(chan struct{})}
	s.routes = s.newRoutes()
	return s, nil
}
