package main

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/cert"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/rules"
	"github.com/onehost/edge/edge/internal/site"
	"github.com/onehost/edge/edge/internal/target"
	"golang.org/x/sync/errgroup"
)

// generation is all that one configuration brings into service. Nothing in it changes; the next one takes its place.
type generation struct {
	cfg    *config.Config
	loaded time.Time
	files  fingerprint // of the configuration's files
	certs  *cert.Set
	plan   *target.Plan
	used   *modulesPlan
	table  *rules.Table
	sites  map[string]*site.Site
}

// prepare builds the generation of cfg beside the one in service. On error nothing is left of it.
func (s *server) prepare(ctx context.Context, cfg *config.Config) (_ *generation, err error) {
	g := &generation{cfg: cfg, loaded: time.Now(), files: fingerprintOf(cfg.Files), sites: make(map[string]*site.Site)}
	if g.certs, err = s.certs.Plan(ctx, cfg); err != nil {
		return nil, err
	}
	for name, configured := range cfg.Sites {
		g.sites[name], err = site.Open(name, configured, site.Options{Cache: filepath.Join(cfg.DataDir, "sites"), Log: s.log})
		if err != nil {
			return nil, err
		}
	}
	if g.used, err = s.modules.plan(cfg); err != nil {
		return nil, err
	}
	g.plan = s.groups.Plan(cfg.TargetGroups)
	if g.table, err = rules.Build(cfg, liveActions{s, g}); err != nil {
		g.abandon()
		return nil, err
	}
	return g, nil
}

// abandon gives up a generation that was prepared and not used.
func (g *generation) abandon() {
	g.plan.Abandon()
	g.used.abandon()
}

// use takes g into service. Requests under way keep the table that they started with.
func (s *server) use(g *generation) {
	g.plan.Commit()
	g.used.commit()
	s.certs.Use(g.certs)
	s.chain.Swap(g.table)
	s.level.Set(g.cfg.Log.Level)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.refused = g, ""
	select {
	case s.swapped <- struct{}{}:
	default:
	}
}

// compressSites does what the sites of the generation in service have left to do, one after the other: each keeps all
// processors but one busy. It returns when ctx is done.
func (s *server) compressSites(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := s.compress(ctx, s.generation().sites); err != nil {
			return err
		}
	}
	return nil
}

// compress returns when ctx is done or another generation was taken into service.
func (s *server) compress(ctx context.Context, sites map[string]*site.Site) error {
	ctx, cancel := context.WithCancel(ctx)
	var work errgroup.Group
	work.Go(func() error {
		for _, name := range slices.Sorted(maps.Keys(sites)) {
			if err := sites[name].Run(ctx); err != nil {
				return err
			}
		}
		debug.FreeOSMemory() // what loading took, and compressing, is several times what serving does
		return nil
	})
	select {
	case <-ctx.Done():
	case <-s.swapped:
	}
	cancel()
	return work.Wait()
}

func (s *server) generation() *generation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// liveActions gives the table its actions.
type liveActions struct {
	server     *server
	generation *generation
}

func (a liveActions) Site(name string) (exchange.Handler, error) {
	found, ok := a.generation.sites[name]
	if !ok {
		return nil, fmt.Errorf("there is no site %q", name)
	}
	return found, nil
}

func (a liveActions) Forward(weights map[string]int) (exchange.Handler, error) {
	return a.server.proxy.Forward(a.generation.plan.Group, weights)
}

func (a liveActions) API() (exchange.Handler, error) {
	return exchange.HTTP(a.server.modules.api), nil
}

func (a liveActions) Forms() (exchange.Handler, error) {
	return exchange.HTTP(a.server.modules.forms), nil
}

func (a liveActions) Webhooks() (exchange.Handler, error) {
	return exchange.HTTP(a.server.modules.webhooks), nil
}

func (a liveActions) Function(name string, route *rules.Route) (exchange.Handler, error) {
	return a.server.modules.function(name, route), nil
}

func (a liveActions) Draining() bool { return a.server.draining.Load() }

// derivedKey is the key for one use, such as cookies that bring visitors back to their target. Hosts that share store.key have the same.
func derivedKey(cfg *config.Config, use string) ([]byte, error) {
	if cfg.Store.Key != "" {
		return hkdf.Key(sha256.New, []byte(cfg.Store.Key), nil, use, 32)
	}
	return secret(filepath.Join(cfg.DataDir, "keys", use), 32)
}

// secret returns the n random bytes in a file that only we may read, made the first time.
func secret(name string, n int) ([]byte, error) {
	key, err := os.ReadFile(name)
	if err == nil && len(key) == n {
		return key, nil
	}
	if err == nil {
		return nil, fmt.Errorf("%s has %d bytes instead of %d: remove it to have a new one made", name, len(key), n)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	key = make([]byte, n)
	rand.Read(key) // never fails (crypto/rand)
	temp, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = temp.Write(key)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return nil, err
	}
	return key, os.Rename(temp.Name(), name)
}
