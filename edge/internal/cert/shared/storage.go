package shared

import (
	"context"
	"fmt"
	"strings"

	"github.com/caddyserver/certmagic"
	"github.com/onehost/edge/edge/internal/cert/storage"
)

var (
	_ certmagic.Storage   = (*Storage)(nil)
	_ certmagic.TryLocker = (*Storage)(nil)
)

// Store puts value in place of what is at key, here and in the store. It is done when it is done here: what the store has not got
// then it gets when it is back. Of the key of an account the store's is right: it is here afterwards.
func (s *Storage) Store(ctx context.Context, key string, value []byte) error {
	id, isShared := idOf(key)
	if !isShared {
		return s.Storage.Store(ctx, key, value)
	}
	s.files.Lock()
	err := s.Storage.Store(ctx, key, value)
	s.forget(id, err == nil)
	s.files.Unlock()
	if _, last, isPart := storage.SiteOf(key); err != nil || isPart && !last {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout) // the CA gave it: it is brought there even if nobody waits
	defer cancel()
	if err := s.heard(s.bring(ctx, id)); err != nil {
		s.log.Info("what was stored is not shared with the other hosts yet", "id", id, "err", err)
	}
	return nil
}

// Delete removes key and all below it from the files here. The store keeps what it has: a host that sets aside what is damaged
// gets it from there.
func (s *Storage) Delete(ctx context.Context, key string) error {
	s.files.Lock()
	defer s.files.Unlock()
	err := s.Storage.Delete(ctx, key)
	id, isShared := idOf(key)
	if isShared {
		s.forget(id, false)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for known := range s.here {
		if known == key || strings.HasPrefix(known, key+"/") {
			delete(s.here, known)
			delete(s.owed, known)
		}
	}
	return err
}

// forget forgets what is known of an entry that changes here, and notes whether the store has to get it.
func (s *Storage) forget(id string, owed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.here, id)
	if owed {
		s.owed[id] = true
	}
}

func (s *Storage) String() string {
	return fmt.Sprintf("%v, which are shared with other hosts", s.Storage)
}
