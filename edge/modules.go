package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/forms"
	"github.com/onehost/edge/core/forms/submissions"
	"github.com/onehost/edge/core/lambda"
	"github.com/onehost/edge/core/lambda/gateway"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/edge/internal/admin"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/rules"
	"golang.org/x/sync/errgroup"
)

// modules answer requests in this process, and work on what they were sent.
type modules struct {
	log         *slog.Logger
	functions   *lambda.Functions
	submissions *submissions.Submissions
	forms       *forms.Forms
}

func newModules(cfg *config.Config, kept store.Store, log *slog.Logger) (*modules, error) {
	key, err := derivedKey(cfg, "forms")
	if err != nil {
		return nil, err
	}
	m := &modules{log: log, functions: lambda.New(lambda.Options{Log: log})}
	m.submissions = submissions.New(submissions.Options{Store: kept, Invoke: m.functions, Log: log})
	m.forms = forms.New(forms.Options{Submissions: m.submissions, Invoke: m.functions, Key: key, Log: log})
	return m, nil
}

// modulesPlan is what one configuration makes of the modules, beside what is in service.
type modulesPlan struct {
	modules   *modules
	cfg       *config.Config
	functions *lambda.Plan
	forms     *forms.Plan
}

func (m *modules) plan(cfg *config.Config) (*modulesPlan, error) {
	functions, err := m.functions.Plan(cfg)
	if err != nil {
		return nil, fmt.Errorf("functions: %w", err)
	}
	planned, err := m.forms.Plan(cfg)
	if err != nil {
		functions.Abandon()
		return nil, fmt.Errorf("forms: %w", err)
	}
	return &modulesPlan{m, cfg, functions, planned}, nil
}

func (p *modulesPlan) commit() {
	p.functions.Commit()
	p.modules.submissions.Use(p.cfg.Forms, p.cfg.Functions)
	p.forms.Commit()
}

func (p *modulesPlan) abandon() { p.functions.Abandon() }

// run works until ctx is done. Functions outlive the deliveries that they are invoked by.
func (m *modules) run(ctx context.Context) error {
	processes, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var work errgroup.Group
	work.Go(func() error { return m.functions.Run(processes) })
	err := m.submissions.Run(ctx)
	stop()
	if ended := work.Wait(); err == nil {
		err = ended
	}
	return err
}

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
