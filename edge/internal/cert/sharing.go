package cert

import (
	"context"
	"path"
	"time"

	"github.com/onehost/edge/edge/internal/cert/shared"
)

// fetchTimeout is how long the first plan waits for what other hosts have stored. What comes later is taken up then.
const fetchTimeout = 2 * time.Second

// share has m share what it keeps.
func (m *Manager) share(with Sharing) {
	m.shared = shared.New(shared.Options{
		Store: with.Store, Key: with.Key, Files: m.files, Log: m.log,
		Changed: m.changedElsewhere, Connected: func(context.Context) { m.tickets.agreeSoon() },
	})
	m.storage = m.shared
	m.challenges.shared = m.shared
	m.challenges.others = newOthers(m.shared.Answers)
	m.tickets.shared = m.shared
}

// fetch brings here what other hosts have stored, before the first plan.
func (m *Manager) fetch(ctx context.Context) {
	if m.shared == nil {
		return
	}
	m.fetched.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
		defer cancel()
		if err := m.shared.Fetch(ctx); err != nil {
			m.log.Warn("not all that hosts share could be read from the store; the files of this host serve, and the rest comes when the store answers", "err", err)
		}
	})
}

// changedElsewhere takes up what has come from another host.
func (m *Manager) changedElsewhere(id string) {
	if id == shared.Tickets {
		m.tickets.hear()
		return
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
