package cert

import (
	"context"
	"path"
	"time"

	"github.com/onehost/edge/edge/internal/cert/shared"
)

// fetchTimeout is how long a plan waits for what other hosts have stored. What comes later is taken up then.
const fetchTimeout = 2 * time.Second

// share has m share what it keeps.
func (m *Manager) share(with Sharing) {
	m.shared = shared.New(shared.Options{
		Store: with.Store, Key: with.Key, Files: m.files, Log: m.log,
		Changed: m.changedElsewhere, Connected: func(context.Context) {
			m.tickets.agreeSoon()
			m.ca.agreeSoon()
		},
	})
	m.storage = m.shared
	m.challenges.shared = m.shared
	m.challenges.others = newOthers(m.shared.Answers)
	m.tickets.shared = m.shared.Value(shared.Tickets)
	m.ca.shared = m.shared.Value(shared.LocalCA)
}

// askStore opens the local CA, which may have to be agreed on with other hosts, and before the first plan brings here what they have stored.
func (m *Manager) askStore(ctx context.Context, set *Set) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	if err := m.ca.open(ctx, set.local); err != nil || m.shared == nil {
		return err
	}
	m.fetched.Do(func() {
		if err := m.shared.Fetch(ctx); err != nil {
			m.log.Warn("not all that hosts share could be read from the store; the files of this host serve, and the rest comes when the store answers", "err", err)
		}
	})
	return nil
}

// signAnew has what was signed by a root that was replaced signed by the one of now.
func (m *Manager) signAnew() {
	for _, s := range m.serving.Load().names {
		if s.managed != nil && s.managed.outdated() {
			s.managed.hurry()
		}
	}
}

// changedElsewhere takes up what has come from another host.
func (m *Manager) changedElsewhere(id string) {
	switch id {
	case shared.Tickets:
		m.tickets.hear()
	case shared.LocalCA:
		m.ca.hear()
	}
	for _, s := range m.serving.Load().names {
		if n := s.managed; n != nil && n.folder == path.Base(id) {
			n.poke()
		}
	}
}

// Attention says what needs a person besides the certificates that Status tells of, a sentence each: that the store's key is not ours.
func (m *Manager) Attention() []string {
	if m.shared == nil {
		return nil
	}
	if problem := m.shared.Problem(); problem != "" {
		return []string{oneLine(problem)}
	}
	return nil
}
