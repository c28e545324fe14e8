// Package api is the content API: what Strapi serves, in process. It is an http.Handler for entries of content types, accounts, files and events.
//
// In comes how the rooms below it make up one answer: the way to a handler, who asks, what he may, what is written, and what caches may do with it. What each of
// these is, those rooms know.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/api/accounts"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/realtime"
	"github.com/onehost/edge/core/api/uploads"
	"github.com/onehost/edge/core/api/wire"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"golang.org/x/sync/errgroup"
)

// maxPreparing is how long a request waits for the first try to bring what is kept to the types.
const maxPreparing = 10 * time.Second

// Options are what an API needs.
type Options struct {
	Store  store.Store
	Mailer accounts.Mailer
	Key    []byte // 32 bytes: tokens are signed with it, the same on all hosts
	Shared bool   // other hosts use the store, and may have other content types
	Log    *slog.Logger
}

// API is the http.Handler of all content. X-Request-Id is the request's id, RemoteAddr who asks.
type API struct {
	Options
	Entries  *entries.Entries
	Accounts *accounts.Accounts
	realtime *realtime.Realtime
	uploads  *uploads.Uploads

	service  atomic.Pointer[service]
	standing standing
	prepared chan struct{} // closed when a plan has been
	once     sync.Once
	buffers  sync.Pool // of *[]byte
	zippers  zippers
}

// New returns an API that answers 503 before the first [Plan] has been prepared and committed.
func New(o Options) *API {
	a := &API{Options: o, prepared: make(chan struct{})}
	a.Entries = entries.New(entries.Options{Store: o.Store, Log: o.Log})
	a.Accounts = accounts.New(accounts.Options{Store: o.Store, Entries: a.Entries, Mailer: o.Mailer, Key: o.Key, Log: o.Log})
	a.realtime = realtime.New(realtime.Options{Store: o.Store, Entries: a.Entries, Log: o.Log})
	a.uploads = uploads.New(uploads.Options{Entries: a.Entries, Log: o.Log})
	a.buffers.New = func() any { return new([]byte) }
	return a
}

// Run does the API's own work until ctx ends.
func (a *API) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-a.prepared:
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.Accounts.Run(ctx) })
	g.Go(func() error { return a.realtime.Run(ctx) })
	g.Go(func() error { return a.uploads.Run(ctx) })
	return g.Wait()
}

// Drain ends the streams of events: who follows them comes again, to the process that takes this one's place.
func (a *API) Drain() { a.realtime.Drain() }

// ServeHTTP answers one request. Who comes while the first plan is being prepared, as after a restart, waits for that.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := a.service.Load()
	if s == nil || !s.awaited(r.Context()) {
		wire.Error(w, r, slog.New(slog.DiscardHandler), fault.Unavailable) // who prepares the plan says why
		return
	}
	s.serve(w, r)
}

// awaited reports whether what is kept is as the types say. It waits for the first try to have it so.
func (s *service) awaited(ctx context.Context) bool {
	if s.ready.Load() {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, maxPreparing)
	defer cancel()
	select {
	case <-ctx.Done():
	case <-s.tried:
	}
	return s.ready.Load()
}
