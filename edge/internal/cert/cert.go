// Package cert answers TLS handshakes: it knows which certificate each configured name is served under, where it
// comes from (PEM files of the sysadmin, a CA that speaks ACME, or the local CA), when it ends, and gets the next one in time.
//
// In comes what concerns certificates and the tls.Config of the listeners. Certmagic is used nowhere else.
package cert

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/edge/internal/cert/budget"
	"github.com/onehost/edge/edge/internal/cert/shared"
	"github.com/onehost/edge/edge/internal/cert/storage"
)

const (
	// FileCheckInterval is how often PEM files are looked at for a change.
	FileCheckInterval = 2 * time.Second

	defaultCheckInterval = 10 * time.Minute
)

// A Manager keeps the certificates of all configured names.
type Manager struct {
	log     *slog.Logger
	dataDir string
	files   *storage.Storage
	shared  *shared.Storage   // nil: nothing is shared
	storage certmagic.Storage // shared, or files alone
	fetched sync.Once         // what is shared was asked for before the first plan
	ca      *localCA
	local   *issuer // ca's
	budget  *budget.Budget
	cache   *certmagic.Cache // what certmagic insists on; nothing is served from it

	serving    atomic.Pointer[Set]
	used       chan struct{} // a set was taken into service
	refusals   refusals
	challenges *challenges
	tickets    *tickets
	terms      *tls.Config // of handshakes
	refusing   *tls.Config // of those for a name that is no host

	closing  sync.Once
	planning sync.Mutex // held by Plan
}

// Sharing is what several hosts have in common.
type Sharing struct {
	Store store.Store // nil: nothing is shared, and all that is kept is in files
	Key   []byte      // 32 bytes to seal what is secret in the store (store.key); nil: the hosts make a key, and the store has it, too
}

// New returns a Manager that keeps what it makes below dataDir. Hosts with one store share certificates, accounts with CAs, the local CA,
// challenges and session ticket keys: then what is below dataDir is this host's copy, and it serves on when the store is away. Nothing
// waits for the store here, and Plan no longer than a moment. Close ends the Manager.
func New(dataDir string, with Sharing, log *slog.Logger) (*Manager, error) {
	if with.Key != nil && len(with.Key) != shared.KeySize {
		return nil, fmt.Errorf("store.key has %d bytes, and must have %d: openssl rand -base64 32 makes one", len(with.Key), shared.KeySize)
	}
	files, err := storage.Open(filepath.Join(dataDir, "certificates"))
	if err != nil {
		return nil, err
	}
	m := &Manager{
		log: log, dataDir: dataDir, files: files, storage: files, budget: budget.New(filepath.Join(dataDir, "budget"), log), refusals: refusals{log: log}, challenges: newChallenges(log),
		tickets: openTickets(filepath.Join(dataDir, "keys"), log), ca: newLocalCA(localCAPath(dataDir), log), used: make(chan struct{}, 1),
	}
	m.ca.names = func() []string { return m.serving.Load().local }
	m.ca.replaced = m.signAnew
	if with.Store != nil {
		m.share(with)
	}
	m.terms = m.newTerms()
	m.refusing = m.terms.Clone()
	m.refusing.SessionTicketsDisabled = true
	m.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return nil, errors.New("nothing is cached") },
		Logger:           zapOn(log),
	})
	m.local = newIssuer(config.Local, m.magic(m.ca, m.files), nil)
	m.local.local = m.ca
	m.serving.Store(&Set{})
	return m, nil
}

// Close gives back what New took.
func (m *Manager) Close() {
	m.closing.Do(func() {
		m.cache.Stop()
		if err := m.files.Close(); err != nil {
			m.log.Error("certificate storage", "err", err)
		}
	})
}

// A Set is what each name of one configuration is served under.
type Set struct {
	names     map[string]*source // by configured name in lower case; "*" is all others
	wildcards map[string]*source // those of names that begin with "*.", by what follows the star
	issuers   issuers
	local     []string // those that the local CA may be asked to sign for
}

// source is where the certificate of one name comes from.
type source struct {
	name    string
	files   *pair     // of the sysadmin; nil: managed
	managed *managed  // by us; nil: files
	clients *clientCA // who vouches for the visitors of its host; nil: nobody has to
}

// certificate returns what the name is served under, nil if there is nothing yet.
func (s *source) certificate() *tls.Certificate {
	if s.files != nil {
		return s.files.certificate()
	}
	return s.managed.certificate()
}

// Plan finds a certificate for every name of cfg that is served over TLS: files are read, what is kept is loaded, and
// the local CA signs what it is asked for first. Nothing of the network is needed: what only a CA elsewhere can give is
// got in the background, once the set is in service. Nothing is served differently before Use.
func (m *Manager) Plan(ctx context.Context, cfg *config.Config) (*Set, error) {
	m.planning.Lock()
	defer m.planning.Unlock()
	set := &Set{names: make(map[string]*source), wildcards: make(map[string]*source), issuers: make(issuers), local: localNames(cfg)}
	if err := m.askStore(ctx, set); err != nil {
		return nil, fmt.Errorf("local CA: %w", err)
	}
	var failed []error
	for _, name := range slices.Sorted(maps.Keys(cfg.Hosts)) {
		if host := cfg.Hosts[name]; !host.TLS.Off {
			if err := m.planHost(ctx, set, cfg, name, host); err != nil {
				failed = append(failed, fmt.Errorf("host %s: %w", name, err))
			}
		}
	}
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}
	return set, nil
}

// planHost finds a certificate for each name of a host.
func (m *Manager) planHost(ctx context.Context, set *Set, cfg *config.Config, name string, host config.Host) error {
	var files *pair
	if host.TLS.Cert != "" {
		var err error
		if files, err = m.pairOf(host.TLS); err != nil {
			return err
		}
	}
	clients, err := m.clientsOf(set, host.TLS)
	if err != nil {
		return err
	}
	for _, n := range append([]string{name}, host.Aliases...) {
		n = strings.ToLower(n)
		set.add(&source{name: n, files: files, clients: clients})
		if files != nil {
			continue
		}
		from, err := m.issuersOf(ctx, set.issuers, cfg, host, n)
		if err != nil {
			return err
		}
		if set.names[n].managed, err = m.manage(ctx, n, from, cmp.Or(cfg.TLS.CheckInterval, defaultCheckInterval)); err != nil {
			return err
		}
	}
	return nil
}

// add has a name served from s.
func (set *Set) add(s *source) {
	set.names[s.name] = s
	if suffix, ok := strings.CutPrefix(s.name, "*."); ok {
		set.wildcards["."+suffix] = s
	}
}

// pairOf returns the pair of files as it is being served already, or reads it.
func (m *Manager) pairOf(t config.HostTLS) (*pair, error) {
	for _, s := range m.serving.Load().names {
		if s.files != nil && s.files.certFile == t.Cert && s.files.keyFile == t.Key {
			return s.files, s.files.refresh()
		}
	}
	return openPair(t.Cert, t.Key)
}

// clientsOf returns who vouches for the visitors of a host, nil if nobody has to. Hosts with the same file share what was read
// of it; a visitor's certificate is for one of them all the same (Covers).
func (m *Manager) clientsOf(planned *Set, t config.HostTLS) (*clientCA, error) {
	if t.ClientCA == "" {
		return nil, nil
	}
	for _, set := range []*Set{planned, m.serving.Load()} {
		for _, s := range set.names {
			if s.clients != nil && s.clients.file == t.ClientCA {
				return s.clients, s.clients.refresh()
			}
		}
	}
	return openClientCA(t.ClientCA, m.terms)
}

// issuersOf returns the issuers of one name of a host, in order of preference.
func (m *Manager) issuersOf(ctx context.Context, all issuers, cfg *config.Config, host config.Host, name string) ([]*issuer, error) {
	var from []*issuer
	for _, configured := range cfg.IssuersOf(host) {
		if cfg.Refusal(configured, name) != "" {
			continue // it can never give one; cfg says so when it is checked
		}
		if configured.Name == config.Local {
			from = append(from, m.local)
			continue
		}
		one, err := m.acmeIssuer(ctx, all, configured, cfg, name)
		if err != nil {
			return nil, err
		}
		from = append(from, one)
	}
	if len(from) == 0 {
		return nil, errors.New("nobody issues certificates for it")
	}
	return from, nil
}

// localNames are the names that the local CA may be asked to sign for.
func localNames(cfg *config.Config) []string {
	var names []string
	for name, host := range cfg.Hosts {
		if asksLocalCA(cfg, host) {
			names = append(names, strings.ToLower(name))
			for _, alias := range host.Aliases {
				names = append(names, strings.ToLower(alias))
			}
		}
	}
	slices.Sort(names)
	return names
}

func asksLocalCA(cfg *config.Config, host config.Host) bool {
	return slices.ContainsFunc(cfg.IssuersOf(host), func(i config.Issuer) bool { return i.Name == config.Local })
}

// manage returns the name as it is kept fresh already, or begins to.
func (m *Manager) manage(ctx context.Context, name string, from []*issuer, every time.Duration) (*managed, error) {
	before := m.serving.Load().names[name]
	if before != nil && before.managed != nil && before.managed.every == every && slices.Equal(before.managed.issuers, from) && !before.managed.outdated() {
		return before.managed, nil
	}
	n := m.newManaged(name, from, every)
	if err := n.load(ctx); err != nil {
		m.log.Error("what is kept of a certificate can't be read", "host", name, "err", err)
	}
	if n.certificate() == nil && from[0].acme == nil {
		return n, n.get(ctx, true)
	}
	if h := n.serving.Load(); h == nil || !isValid(h.pair.Leaf, time.Now()) { // until the new issuers have given one
		if pair := m.standIn(ctx, name, before); pair != nil {
			n.serving.Store(&holding{pair: pair})
		}
	}
	return n, nil
}

// standIn returns a certificate that is good for name, though not from the issuers that it has now: what is served, or what another CA
// gave before edge was started. Nil if there is none. Those of a local CA that was replaced are none.
func (m *Manager) standIn(ctx context.Context, name string, served *source) *tls.Certificate {
	now := time.Now()
	if served != nil {
		if pair := served.certificate(); pair != nil && isValid(pair.Leaf, now) && isFor(pair.Leaf, name) == nil {
			return pair
		}
	}
	folders, err := m.storage.List(ctx, "certificates", false)
	if err != nil {
		return nil
	}
	var last *holding
	for _, folder := range folders {
		kept, err := readStored(ctx, m.storage, path.Base(folder), name)
		if err == nil && isValid(kept.pair.Leaf, now) && !strings.HasPrefix(path.Base(folder), storage.LocalPrefix) && (last == nil || kept.kept.After(last.kept)) {
			last = kept
		}
	}
	if last == nil {
		return nil
	}
	return last.pair
}

// Use serves the certificates of set from now on. What failed is tried again: the operator may have mended the cause.
func (m *Manager) Use(set *Set) {
	m.serving.Store(set)
	for _, s := range set.names {
		if s.managed != nil {
			s.managed.retry()
		}
	}
	select {
	case m.used <- struct{}{}:
	default:
	}
}

// Run keeps certificates fresh until ctx is done: those that edge gets, and those in PEM files, which are looked at for
// changes. A pair of files that does not fit together, as in the middle of a copy, leaves the one before in use.
func (m *Manager) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	tick := time.NewTicker(FileCheckInterval)
	defer tick.Stop()
	work.Go(func() { m.tickets.Run(ctx) })
	work.Go(func() { m.ca.Run(ctx) })
	if m.shared != nil {
		work.Go(func() { _ = m.shared.Run(ctx) })
	}
	running := make(map[*managed]context.CancelFunc)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			m.refreshFiles()
		case <-m.used:
			running = m.keepFresh(ctx, &work, running)
		}
	}
}

// keepFresh starts what is new in the set in service, stops what is gone, and returns what runs now.
func (m *Manager) keepFresh(ctx context.Context, work *sync.WaitGroup, before map[*managed]context.CancelFunc) map[*managed]context.CancelFunc {
	running := make(map[*managed]context.CancelFunc)
	for _, s := range m.serving.Load().names {
		n := s.managed
		if n == nil {
			continue
		}
		if stop, ok := before[n]; ok {
			running[n] = stop
			delete(before, n)
			continue
		}
		ctx, stop := context.WithCancel(ctx)
		running[n] = stop
		work.Go(func() { n.run(ctx) })
	}
	for _, stop := range before {
		stop()
	}
	return running
}

// Errors of Renew.
var (
	ErrNoHost     = errors.New("no host with a certificate")
	ErrNotManaged = errors.New("its certificate is in files that edge does not renew")
)

// Renew gets a new certificate for a configured name at once, whether or not one is due, and returns what became of it.
// The CA's rate budget still holds.
func (m *Manager) Renew(ctx context.Context, name string) error {
	set := m.serving.Load()
	host, err := config.ParseHost(name)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", name, ErrNoHost, err)
	}
	s := set.names[host]
	switch {
	case s == nil && set.find(host) != nil:
		return fmt.Errorf("%s: %w of its own: it is served under that of %s", name, ErrNoHost, set.find(host).name)
	case s == nil:
		return fmt.Errorf("%s: %w", name, ErrNoHost)
	case s.managed == nil:
		return fmt.Errorf("%s: %w", name, ErrNotManaged)
	}
	tell := make(chan error, 1)
	select {
	case s.managed.asked <- tell:
	case <-ctx.Done():
		return fmt.Errorf("an order for %s is under way: %w", name, ctx.Err())
	}
	select {
	case err := <-tell:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the order for %s goes on: %w", name, ctx.Err())
	}
}

func (m *Manager) refreshFiles() {
	seen := make(map[watched]bool)
	for _, s := range m.serving.Load().names {
		if s.files != nil && !seen[s.files] {
			seen[s.files] = true
			m.refresh(s.files, s.files.certFile)
		}
		if s.clients != nil && !seen[s.clients] {
			seen[s.clients] = true
			m.refresh(s.clients, s.clients.file)
		}
	}
}

// watched is what is read again when its file has changed.
type watched interface {
	lastError() error
	refresh() error
}

func (m *Manager) refresh(w watched, file string) {
	before := w.lastError()
	switch err := w.refresh(); {
	case err != nil && before == nil:
		m.log.Error("certificate files are not usable; what was in them before still serves", "file", file, "err", err)
	case err == nil && before != nil:
		m.log.Info("certificate files are usable again", "file", file)
	}
}
