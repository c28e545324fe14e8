package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/admin"
	"github.com/onehost/edge/edge/internal/cert"
	"github.com/onehost/edge/edge/internal/chain"
	"github.com/onehost/edge/edge/internal/front"
	"github.com/onehost/edge/edge/internal/listen"
	"github.com/onehost/edge/edge/internal/proxy"
	"github.com/onehost/edge/edge/internal/target"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/uptrace/bunrouter"
	"golang.org/x/sync/errgroup"
)

// server is a running edge: the rooms, wired together.
type server struct {
	path    string // the configuration file
	log     *slog.Logger
	level   *slog.LevelVar
	started time.Time

	listeners *listen.Listeners
	admin     net.Listener
	store     *watchedStore
	certs     *cert.Manager
	modules   *modules
	groups    *target.Groups
	proxy     *proxy.Proxy
	access    *chain.AccessLog
	chain     *chain.Chain
	front     *front.Server
	metrics   *prometheus.Registry

	draining atomic.Bool
	swapped  chan struct{} // a generation was taken into service

	reloading sync.Mutex // held by the one reload at a time
	mu        sync.Mutex // guards what follows
	current   *generation
	refused   string // why the last reload changed nothing, "" if it did
}

// newServer opens the sockets and brings cfg into service; nothing is accepted before run.
func newServer(ctx context.Context, path string, cfg *config.Config, stdout io.Writer, log *slog.Logger, level *slog.LevelVar) (s *server, err error) {
	s = &server{path: path, log: log, level: level, started: time.Now(), swapped: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := os.MkdirAll(cfg.DataDir, 0o750); err != nil {
		return s, fmt.Errorf("data_dir: %w", err)
	}
	if s.admin, err = admin.Listen(socketPath(cfg.Listen.Admin), cfg.Listen.AdminGroup); err != nil {
		return s, err
	}
	inherited, err := listen.Inherited()
	if err != nil {
		return s, err
	}
	if s.listeners, err = listen.Open(cfg.Listen, inherited); err != nil {
		return s, err
	}
	cookieKey, err := derivedKey(cfg, "stickiness")
	if err != nil {
		return s, err
	}
	s.access = chain.NewAccessLog(stdout, log)
	if err := s.access.Reopen(cfg.Log); err != nil {
		return s, err
	}
	if s.store, err = watchStore(ctx, cfg, log); err != nil {
		return s, err
	}
	if s.certs, err = cert.New(cfg.DataDir, sharing(cfg, s.store), log); err != nil {
		return s, err
	}
	if s.modules, err = newModules(cfg, s.store, log); err != nil {
		return s, err
	}
	s.groups = target.NewGroups(target.Options{Log: log, CookieKey: cookieKey, NewPool: proxy.NewPool})
	s.proxy = proxy.New(proxy.Options{PublicPort: cfg.Listen.PublicPort, Log: log})
	counted := chain.NewMetrics(s.access)
	s.chain = chain.New(chain.Options{
		Covers:         s.certs.Covers,
		Challenge:      s.certs.Challenge,
		AltSvc:         altSvc(cfg.Listen),
		TrustedProxies: cfg.Listen.TrustedProxies,
		PublicPort:     cfg.Listen.PublicPort,
		Access:         s.access,
		Metrics:        counted,
		Log:            log,
	})
	quicKey, err := secret(filepath.Join(cfg.DataDir, "keys", "quic"), 32)
	if err != nil {
		return s, err
	}
	s.front = front.New(front.Options{Handler: s.chain, TLS: s.certs.TLS(), Log: log, QUICKey: quicKey, Refused: s.chain.Refused})
	s.metrics = prometheus.NewRegistry()
	s.metrics.MustRegister(counted, s.groups, s.certs, connections{s.front}, s.store.metric(), s.modules,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	first, err := s.prepare(ctx, cfg)
	if err != nil {
		return s, err
	}
	s.use(first)
	return s, nil
}

// close gives back what newServer opened.
func (s *server) close() {
	if s.admin != nil {
		s.admin.Close()
	}
	if s.listeners != nil {
		s.listeners.Close()
	}
	if s.certs != nil {
		s.certs.Close()
	}
	if s.modules != nil {
		s.closeModules()
	}
	if s.store != nil {
		s.closeStore()
	}
}

func (s *server) closeModules() {
	if err := s.modules.close(); err != nil {
		s.log.Error("modules", "err", err)
	}
}

func (s *server) closeStore() {
	if err := s.store.Close(); err != nil {
		s.log.Error("store", "err", err)
	}
}

// run serves until ctx is done, and drains then.
func (s *server) run(ctx context.Context, hangup <-chan os.Signal) error {
	ctx, cease := context.WithCancel(ctx)
	defer cease()
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	work, background := errgroup.WithContext(background)
	work.Go(func() error { return s.groups.Run(background) })
	work.Go(func() error { return s.store.Run(background) })
	work.Go(func() error { return s.certs.Run(background) })
	work.Go(func() error { return s.modules.run(background) })
	work.Go(func() error { return newAlarms(s.matters, s.sendAlarm, s.log).Run(background) })
	work.Go(func() error { return s.access.Run(background) })
	work.Go(func() error { return s.compressSites(background) })
	work.Go(func() error { return s.reloadOn(ctx, hangup) })
	work.Go(func() error { return s.serveOperators(background, s.admin, admin.NewHandler(s)) })
	if s.listeners.Metrics != nil {
		work.Go(func() error { return s.serveOperators(background, s.listeners.Metrics, s.metricsHandler()) })
	}
	for _, ln := range s.listeners.HTTP {
		work.Go(func() error { return s.front.Serve(ln, false) })
	}
	for _, ln := range s.listeners.HTTPS {
		work.Go(func() error { return s.front.Serve(ln, true) })
	}
	for _, pc := range s.listeners.QUIC {
		work.Go(func() error { return s.front.ServeQUIC(pc) })
	}
	s.log.Info("serving", "version", version().Version, "config", s.path, "https", addresses(s.listeners.HTTPS), "http", addresses(s.listeners.HTTP))
	notify(daemon.SdNotifyReady)

	select {
	case <-ctx.Done():
	case <-background.Done(): // something that must not end has ended
	}
	cease()
	s.drain()
	stop()
	err := work.Wait()
	s.certs.Close()
	s.closeModules()
	s.closeStore()
	return err
}

// drain lets what is under way finish, as long as the configuration allows, and accepts nobody new: with systemd's sockets they
// queue there for the next process. But a load balancer in front that asks a host's health path, on new connections,
// has to hear that it should send nobody any more, and whom it still sends is served: then the listeners stay open while
// requests are under way, for half of the time.
func (s *server) drain() {
	s.draining.Store(true)
	s.modules.api.Drain()
	notify(daemon.SdNotifyStopping)
	cfg := s.generation().cfg
	s.log.Info("draining", "at_most", cfg.Shutdown)
	var notice time.Duration
	for _, host := range cfg.Hosts {
		if host.Health != "" {
			notice = cfg.Shutdown / 2
		}
	}
	if notice == 0 {
		s.listeners.CloseVisitors()
	} else {
		defer time.AfterFunc(notice, s.listeners.CloseVisitors).Stop()
	}
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Shutdown)
	defer cancel()
	if err := s.front.Drain(ctx); err != nil {
		s.log.Warn("requests were cut off when shutdown had passed", "err", err)
	}
	s.listeners.CloseVisitors()
	s.listeners.CloseQUIC()
	s.log.Info("stopped")
}

// altSvc tells visitors of h1 and h2 where h3 is (RFC 7838; RFC 9114, section 3.1.1), "" if it is nowhere.
func altSvc(l config.Listen) string {
	if !l.H3 || len(l.HTTPS) == 0 {
		return ""
	}
	return fmt.Sprintf(`h3=":%d"; ma=86400`, l.PublicPort)
}

func (s *server) metricsHandler() http.Handler {
	router := bunrouter.New()
	router.GET("/metrics", bunrouter.HTTPHandler(promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{})))
	router.GET("/_edge/health", admin.Health(s.Serving))
	return router
}

// serveOperators serves h to operators until ctx is done, and lets them finish for a moment then.
func (s *server) serveOperators(ctx context.Context, ln net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler:      h,
		ReadTimeout:  askTimeout,
		WriteTimeout: orderTimeout, // longer than a reload that waits for another
		IdleTimeout:  time.Minute,
		ErrorLog:     slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		BaseContext:  func(net.Listener) context.Context { return ctx },
	}
	stopped := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(stopped)
		last, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if server.Shutdown(last) != nil {
			server.Close()
		}
	})
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
		return fmt.Errorf("operators' listener %s: %w", ln.Addr(), err)
	}
	<-stopped
	return nil
}

// socketPath is the file of an address such as "unix:/run/edge/admin.sock".
func socketPath(address string) string { return strings.TrimPrefix(address, "unix:") }

func addresses(listeners []net.Listener) string {
	all := make([]string, len(listeners))
	for i, ln := range listeners {
		all[i] = ln.Addr().String()
	}
	return strings.Join(all, ",")
}

// notify tells systemd, if it started this process, how things stand (sd_notify(3)).
func notify(state string) { _, _ = daemon.SdNotify(false, state) }
