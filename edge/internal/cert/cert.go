// Package cert answers TLS handshakes: it knows which certificate each configured name is served under, where it
// comes from (PEM files of the sysadmin, or the local CA through certmagic), and when it ends.
//
// In comes what concerns certificates and the tls.Config of the listeners. Certmagic is used nowhere else.
package cert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/config"
)

// FileCheckInterval is how often PEM files are looked at for a change.
const FileCheckInterval = 2 * time.Second

// A Manager keeps the certificates of all configured names.
type Manager struct {
	log     *slog.Logger
	dataDir string

	serving  atomic.Pointer[Set]
	refusals refusals

	mu    sync.Mutex // guards local
	local *managed   // the newest: Plan may have made it, and Use not yet taken it into service
}

// New returns a Manager that keeps what it makes below dataDir. Close ends it.
func New(dataDir string, log *slog.Logger) *Manager {
	m := &Manager{log: log, dataDir: dataDir, refusals: refusals{log: log}}
	m.serving.Store(&Set{})
	return m
}

// Close ends the renewal of certificates.
func (m *Manager) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if serving := m.serving.Load().local; serving != nil {
		serving.stop()
	}
	if m.local != nil {
		m.local.stop()
	}
}

// A Set is what each name of one configuration is served under. It is a value: it never changes.
type Set struct {
	names map[string]*source // by configured name in lower case; "*" is all others
	local *managed           // nil when every name has files
}

// source is where the certificate of one name comes from: a pair of files, or the local CA.
type source struct {
	name  string
	files *pair // nil: managed
}

// Plan gets a certificate for every name of cfg that is served over TLS: files are read, and the local CA issues
// what is missing. Nothing is served differently before Use.
func (m *Manager) Plan(ctx context.Context, cfg *config.Config) (*Set, error) {
	set := &Set{names: make(map[string]*source)}
	var local []string
	var failed []error
	for _, name := range slices.Sorted(maps.Keys(cfg.Hosts)) {
		host := cfg.Hosts[name]
		if host.TLS.Off {
			continue
		}
		var files *pair
		if host.TLS.Cert != "" {
			var err error
			if files, err = m.pairOf(host.TLS); err != nil {
				failed = append(failed, fmt.Errorf("host %s: %w", name, err))
				continue
			}
		}
		for _, n := range append([]string{name}, host.Aliases...) {
			n = strings.ToLower(n)
			set.names[n] = &source{name: n, files: files}
			if files == nil {
				local = append(local, n)
			}
		}
	}
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}
	if len(local) > 0 {
		var err error
		if set.local, err = m.manage(ctx, local); err != nil {
			return nil, err
		}
	}
	return set, nil
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

// manage has the local CA issue what is missing.
func (m *Manager) manage(ctx context.Context, names []string) (*managed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.local == nil || !m.local.ca.permits(names) {
		ca, err := openLocalCA(localCAPath(m.dataDir), names, m.log)
		if err != nil {
			return nil, fmt.Errorf("local CA: %w", err)
		}
		if m.local != nil && m.local != m.serving.Load().local {
			m.local.stop()
		}
		m.local = newManaged(ca, filepath.Join(m.dataDir, "certificates"), m.log)
	}
	if err := m.local.magic.ManageSync(ctx, names); err != nil {
		return nil, fmt.Errorf("certificates from the local CA: %w", err)
	}
	return m.local, nil
}

// Use serves the certificates of set from now on.
func (m *Manager) Use(set *Set) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.serving.Swap(set)
	if before.local == nil || before.local == set.local {
		return
	}
	before.local.stop()
	if m.local == before.local {
		m.local = nil // what is stopped renews nothing: a later Plan must not take it up again
	}
}

// Run looks at the PEM files for changes until ctx is done. A pair that does not fit together, as in the middle of a
// copy, leaves the one before in use.
func (m *Manager) Run(ctx context.Context) error {
	tick := time.NewTicker(FileCheckInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			m.refreshFiles()
		}
	}
}

func (m *Manager) refreshFiles() {
	seen := make(map[*pair]bool)
	for _, s := range m.serving.Load().names {
		if s.files == nil || seen[s.files] {
			continue
		}
		seen[s.files] = true
		before := s.files.lastError()
		switch err := s.files.refresh(); {
		case err != nil && before == nil:
			m.log.Error("certificate files are not usable; the certificate before them is still served", "cert", s.files.certFile, "err", err)
		case err == nil && before != nil:
			m.log.Info("certificate files are usable again", "cert", s.files.certFile)
		}
	}
}
