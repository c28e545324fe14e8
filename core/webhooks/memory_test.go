package webhooks

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
)

func TestMemoryIsTakenForWhatHasComeAndNotForWhatAHeadPromises(t *testing.T) {
	source := github()
	source.Body = 10 << 20
	s := newStand(t, map[string]config.Webhook{"github": source}, nil)
	r := signed("github", "e1", "")
	read := &measured{part: make([]byte, 20000)}
	r.Body, r.ContentLength = io.NopCloser(read), 10<<20
	if w := s.ask(r); w.Code != http.StatusBadRequest || read.room > 2*smallBody {
		t.Errorf("%d: there is room for %d bytes of 20000", w.Code, read.room)
	}
}

// measured is a body that breaks off, and knows how much room its reader has made.
type measured struct {
	part []byte
	room int
}

func (m *measured) Read(p []byte) (int, error) {
	if m.room += len(p); len(m.part) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, m.part)
	m.part = m.part[n:]
	return n, nil
}

func TestAFloodOfLargeBodiesIsBoundedAndKeepsNoSmallOneOut(t *testing.T) {
	s := newStand(t, map[string]config.Webhook{"github": github()}, nil)
	large := strings.Repeat("x", 1<<20)
	if w := s.ask(signed("github", "whole", large)); w.Code != http.StatusOK || !bytes.Equal(s.keeper.kept[0].Body, []byte(large)) || s.Webhooks.bodies.bytes.Load() != 0 {
		t.Fatal(w.Code, s.Webhooks.bodies.bytes.Load())
	}
	others := &bodyRoom{all: &s.Webhooks.bodies}
	if !others.take(maxBodies - 1000) {
		t.Fatal("no room")
	}
	chunked := signed("github", "chunked", large)
	chunked.ContentLength = -1
	for _, r := range []*http.Request{signed("github", "large", large), chunked} {
		if w := s.ask(r); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Error(w.Code, w.Header())
		}
	}
	if w := s.ask(signed("github", "small", strings.Repeat("x", smallBody))); w.Code != http.StatusOK {
		t.Error(w.Code)
	}
	others.leave()
	if w := s.ask(signed("github", "large", large)); w.Code != http.StatusOK || s.Webhooks.bodies.bytes.Load() != 0 {
		t.Error(w.Code, s.Webhooks.bodies.bytes.Load())
	}
}
