package route53

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/libdns/libdns"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// cleanUpTimeout bounds CleanUp, which goes on when the order was given up.
const cleanUpTimeout = time.Minute

// Solver answers DNS-01 challenges. It may be used by several goroutines at once.
type Solver struct {
	provider *Provider

	mu        sync.Mutex
	presented map[presentedKey]presented
}

// presentedKey tells apart the challenges of example.com and *.example.com, which are for one name.
type presentedKey struct{ fqdn, text string }

type presented struct {
	zone   string
	record libdns.Record // as Route 53 took it; nil while that is not known
}

var (
	_ acmez.Solver = (*Solver)(nil)
	_ acmez.Waiter = (*Solver)(nil)
)

// NewSolver returns a Solver. Nothing is asked of the network before the first challenge.
func NewSolver(ctx context.Context, o Options) (*Solver, error) {
	p, err := NewProvider(ctx, o)
	if err != nil {
		return nil, err
	}
	return &Solver{provider: p, presented: make(map[presentedKey]presented)}, nil
}

// Ready reports whether there are AWS credentials to answer challenges with, within five seconds, so that no order is begun for which none can
// be answered; the error says what is missing. Credentials are kept by the SDK until shortly before they end: asking again costs nothing.
func (s *Solver) Ready(ctx context.Context) error { return s.provider.haveCredentials(ctx) }

// Present publishes the answer to a challenge. Wait waits until it is served.
func (s *Solver) Present(ctx context.Context, c acme.Challenge) error {
	key := keyOf(c)
	z, err := s.provider.zoneOf(ctx, key.fqdn)
	if err != nil {
		return err
	}
	s.remember(key, presented{zone: z.name}) // also when it fails: Route 53 may have taken what it did not confirm
	name := libdns.RelativeName(key.fqdn, z.name)
	added, err := s.provider.AppendRecords(ctx, z.name, []libdns.Record{libdns.TXT{Name: name, TTL: defaultTTL, Text: key.text}})
	if err != nil {
		return err
	}
	s.remember(key, presented{zone: z.name, record: added[0]})
	return nil
}

// Wait returns when every name server of Route 53 serves the answer to a challenge.
func (s *Solver) Wait(ctx context.Context, c acme.Challenge) error {
	key := keyOf(c)
	if txt, ok := s.recall(key).record.(libdns.TXT); ok {
		if change, ok := txt.ProviderData.(Change); ok {
			return s.provider.Wait(ctx, change)
		}
	}
	return fmt.Errorf("route53: the challenge for %s was not presented", key.fqdn)
}

// CleanUp removes the answer to a challenge and leaves those to others. It does so although ctx has ended.
func (s *Solver) CleanUp(ctx context.Context, c acme.Challenge) error {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), cleanUpTimeout, fmt.Errorf("not done within %v", cleanUpTimeout))
	defer cancel()
	key := keyOf(c)
	was := s.recall(key)
	if was.zone == "" {
		return nil
	}
	s.forget(key)
	_, err := s.provider.DeleteRecords(ctx, was.zone, []libdns.Record{libdns.TXT{Name: libdns.RelativeName(key.fqdn, was.zone), Text: key.text}})
	return err
}

func keyOf(c acme.Challenge) presentedKey {
	return presentedKey{fqdn: canonical(c.DNS01TXTRecordName()), text: c.DNS01KeyAuthorization()}
}

func (s *Solver) remember(key presentedKey, p presented) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.presented[key] = p
}

func (s *Solver) recall(key presentedKey) presented {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.presented[key]
}

func (s *Solver) forget(key presentedKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.presented, key)
}
