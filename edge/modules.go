package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/api"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/forms"
	"github.com/onehost/edge/core/forms/submissions"
	"github.com/onehost/edge/core/jobs"
	"github.com/onehost/edge/core/jobs/action"
	"github.com/onehost/edge/core/lambda"
	"github.com/onehost/edge/core/lambda/gateway"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/webhooks"
	"github.com/onehost/edge/core/webhooks/dispatch"
	"github.com/onehost/edge/core/webhooks/inbox"
	"github.com/onehost/edge/core/webhooks/spool"
	"github.com/onehost/edge/edge/internal/admin"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/rules"
	"github.com/onehost/edge/plugins/host"
	"github.com/onehost/edge/plugins/services"
	"golang.org/x/sync/errgroup"
)

// modules answer requests in this process, and work on what they were sent.
type modules struct {
	log         *slog.Logger
	began       time.Time
	functions   *lambda.Functions
	submissions *submissions.Submissions
	forms       *forms.Forms
	folder      *runFolder
	post        *post
	plugins     *host.Host
	inbox       *inbox.Inbox
	dispatcher  *dispatch.Dispatcher
	spool       *spool.Spool
	webhooks    *webhooks.Webhooks
	actions     *action.Actions
	pings       *action.Pings
	jobs        *jobs.Jobs
	api         *api.API
	content     contentPlan
	sourcesNow  atomic.Pointer[map[string]config.Webhook] // as they are configured
}

func newModules(cfg *config.Config, kept store.Store, log *slog.Logger) (*modules, error) {
	key, err := derivedKey(cfg, "forms")
	if err != nil {
		return nil, err
	}
	tokens, err := loginKey(cfg)
	if err != nil {
		return nil, err
	}
	m := &modules{log: log, began: time.Now(), functions: lambda.New(lambda.Options{Log: log}), post: &post{log: log}}
	m.submissions = submissions.New(submissions.Options{Store: kept, Invoke: m.functions, Log: log})
	m.forms = forms.New(forms.Options{Submissions: m.submissions, Invoke: m.functions, Key: key, Log: log})
	if m.folder, err = newRunFolder(cfg.DataDir); err != nil {
		return nil, err
	}
	m.api = api.New(api.Options{Store: kept, Mailer: m.post, Key: tokens, Shared: !cfg.Store.Embedded(), Log: log})
	offered := services.New(services.Options{Folder: m.folder.services(), Store: kept, Mailer: m.post, API: pluginEntries{m.api}, Log: log})
	m.plugins = host.New(host.Options{Folder: m.folder.plugins(), Services: offered, Version: version().Version, Log: log})
	m.inbox = inbox.New(inbox.Options{Store: kept, Log: log})
	m.dispatcher = dispatch.New(dispatch.Options{Inbox: m.inbox, Handler: m.plugins, Log: log})
	if m.spool, err = spool.Open(filepath.Join(cfg.DataDir, "spool"), log); err != nil {
		return nil, errors.Join(err, m.folder.close())
	}
	m.webhooks = webhooks.New(webhooks.Options{Inbox: m.inbox, Dispatch: m.dispatcher, Spool: m.spool, Log: log})
	m.actions = action.New(action.Options{Plugins: pluginJobs{m.plugins}, Functions: m.functions, Log: log})
	m.pings = action.NewPings(action.PingOptions{Log: log})
	name, err := os.Hostname()
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	m.jobs = jobs.New(jobs.Options{Store: kept, Runner: m.actions, Pinger: m.pings, Host: name, Log: log})
	return m, nil
}

// modulesPlan is what one configuration makes of the modules, beside what is in service.
type modulesPlan struct {
	modules   *modules
	cfg       *config.Config
	functions *lambda.Plan
	forms     *forms.Plan
	plugins   *host.Plan
	webhooks  *webhooks.Plan
	api       *api.Plan
}

func (m *modules) plan(cfg *config.Config) (_ *modulesPlan, err error) {
	p := &modulesPlan{modules: m, cfg: cfg}
	if p.forms, err = m.forms.Plan(cfg); err != nil {
		return nil, fmt.Errorf("forms: %w", err)
	}
	if p.webhooks, err = m.webhooks.Plan(cfg); err != nil {
		return nil, err
	}
	if p.api, err = m.api.Plan(cfg); err != nil {
		return nil, err
	}
	if p.functions, err = m.functions.Plan(cfg); err != nil {
		return nil, fmt.Errorf("functions: %w", err)
	}
	if p.plugins, err = m.plugins.Plan(cfg); err != nil {
		p.functions.Abandon()
		return nil, fmt.Errorf("plugins: %w", err)
	}
	return p, nil
}

// commit takes the plan into service: first those who are called, then those who call.
func (p *modulesPlan) commit() {
	m := p.modules
	p.functions.Commit()
	p.api.Commit()
	m.content.set(p.api, p.cfg.API != nil)
	m.submissions.Use(p.cfg.Forms, p.cfg.Functions)
	p.forms.Commit()
	m.post.use(p.cfg.Mail)
	p.plugins.Commit()
	m.inbox.Use(p.cfg.Webhooks)
	m.dispatcher.Use(p.cfg.Webhooks)
	m.sourcesNow.Store(&p.cfg.Webhooks)
	p.webhooks.Commit()
	m.actions.Use(p.cfg.Jobs)
	m.pings.Use(p.cfg.Jobs)
	if err := m.jobs.Use(p.cfg.Jobs); err != nil {
		m.log.Error("the jobs stay as they were", "err", err) // schedules were checked when the configuration was read
	}
}

func (p *modulesPlan) abandon() {
	p.functions.Abandon()
	p.plugins.Abandon()
}

// run works until ctx is done. Functions and plugins outlive the deliveries that they are called by.
func (m *modules) run(ctx context.Context) error {
	processes, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var called, callers errgroup.Group
	called.Go(func() error { return m.functions.Run(processes) })
	called.Go(func() error { return m.plugins.Run(processes) })
	called.Go(func() error { return m.api.Run(processes) })
	callers.Go(func() error { return m.content.prepare(ctx, m.log) })
	callers.Go(func() error { return m.submissions.Run(ctx) })
	callers.Go(func() error { return m.inbox.Run(ctx) })
	callers.Go(func() error { return m.dispatcher.Run(ctx) })
	callers.Go(func() error { return m.webhooks.Run(ctx) })
	callers.Go(func() error { return m.runJobs(ctx) })
	err := callers.Wait()
	stop()
	return errors.Join(err, called.Wait())
}

// runJobs runs jobs until ctx is done. Their watchers are told to the end.
func (m *modules) runJobs(ctx context.Context) error {
	told, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var pings errgroup.Group
	pings.Go(func() error { return m.pings.Run(told) })
	err := m.jobs.Run(ctx)
	stop()
	return errors.Join(err, pings.Wait())
}

// close gives back what newModules took.
func (m *modules) close() error { return errors.Join(m.spool.Close(), m.folder.close()) }

// invoke invokes a function by hand. What the function itself fails with is in the answer.
func (m *modules) invoke(ctx context.Context, name string, event []byte) (admin.Invocation, error) {
	began := time.Now()
	result, err := m.functions.Invoke(ctx, name, event)
	done := admin.Invocation{RequestID: result.RequestID, Seconds: time.Since(began).Seconds(), Log: result.Log}
	if failed, ok := errors.AsType[*lambda.Error](err); ok {
		done.RequestID, done.Kind, done.Error = failed.RequestID, failed.Kind, failed.Error()
		return done, nil
	}
	if json.Valid(result.Payload) {
		done.Payload = result.Payload
	} else if err == nil {
		done.Error = "it answers what is no JSON"
	}
	return done, err
}

// function is the action of a rule that names a function.
func (m *modules) function(name string, route *rules.Route) exchange.Handler {
	handler := gateway.NewHandler(m.functions, name, m.log)
	return exchange.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route.Mark(r)
		handler.ServeHTTP(w, r)
	}))
}
