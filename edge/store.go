package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/move"
	"github.com/onehost/edge/edge/internal/admin"
	"github.com/onehost/edge/edge/internal/cert"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

const (
	// storeInterval is how often it is seen whether the store is ready.
	storeInterval = 5 * time.Second

	// storePatience is how long a start waits for a store that does not answer. It goes on without it then.
	storePatience = 3 * time.Second
)

// sharing is what hosts with one store have in common. A store of this host's own is shared with nobody.
func sharing(cfg *config.Config, s store.Store) cert.Sharing {
	if cfg.Store.Embedded() {
		return cert.Sharing{}
	}
	with := cert.Sharing{Store: s}
	if cfg.Store.Key != "" {
		with.Key = []byte(cfg.Store.Key)
	}
	return with
}

// watchedStore is the store, and what is known of its readiness.
type watchedStore struct {
	store.Store
	name string
	log  *slog.Logger

	usable bool // it is no half of a copy; ready's alone

	mu  sync.Mutex
	err error // why it is not ready
}

// watchStore opens the store of a configuration and sees whether it is ready. One that does not answer may do so later; one that
// a person has to do something about is an error.
func watchStore(ctx context.Context, cfg *config.Config, log *slog.Logger) (*watchedStore, error) {
	opened, err := placeIn(cfg).open(ctx, log)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	w := &watchedStore{Store: opened, name: cfg.Store.String(), log: log}
	asked, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	err = w.ready(asked)
	if err != nil && fault.CodeOf(err) != fault.Unavailable {
		opened.Close()
		return nil, fmt.Errorf("store %s: %w", w.name, err)
	}
	w.note(ctx, err)
	return w, nil
}

// Run does the store's own work and sees whether it is ready, until ctx is done.
func (w *watchedStore) Run(ctx context.Context) error {
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { return w.Store.Run(ctx) })
	work.Go(func() error {
		tick := time.NewTicker(storeInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				w.look(ctx)
			}
		}
	})
	return work.Wait()
}

// look sees whether the store is ready.
func (w *watchedStore) look(ctx context.Context) {
	asked, cancel := context.WithTimeout(ctx, storeInterval)
	defer cancel()
	w.note(ctx, w.ready(asked))
}

// note keeps why the store is not ready, nil if it is, and says so when that has changed.
func (w *watchedStore) note(ctx context.Context, err error) {
	if err != nil && ctx.Err() != nil { // that we stop says nothing about the store
		return
	}
	w.mu.Lock()
	before := w.err
	w.err = err
	w.mu.Unlock()
	switch {
	case err != nil && before == nil:
		w.log.Error("the store is not ready: what needs it fails, all else is served on", "store", w.name, "err", err)
	case err == nil && before != nil:
		w.log.Info("the store is ready again", "store", w.name)
	}
}

// ready asks the store, and once whether it is a copy that is not complete.
func (w *watchedStore) ready(ctx context.Context) error {
	if err := w.Ready(ctx); err != nil || w.usable {
		return err
	}
	err := move.Usable(ctx, w.Store)
	w.usable = err == nil
	return err
}

// problem is why the store is not ready, nil if it is.
func (w *watchedStore) problem() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// status is what operators see.
func (w *watchedStore) status() admin.Store {
	st := admin.Store{Name: w.name, Ready: true}
	if err := w.problem(); err != nil {
		st.Ready, st.Error = false, err.Error()
	}
	return st
}

// metric says whether the store is ready.
func (w *watchedStore) metric() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "edge_store_ready", Help: "Whether the store can be read and written: 1 or 0."}, func() float64 {
		if w.problem() != nil {
			return 0
		}
		return 1
	})
}
