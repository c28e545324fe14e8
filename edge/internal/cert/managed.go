package cert

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/onehost/edge/edge/internal/cert/shared"
)

// managed is a name whose certificate edge gets, keeps and renews.
type managed struct {
	name    string
	folder  string    // of its certificates, below that of each issuer
	issuers []*issuer // in order of preference
	storage certmagic.Storage
	every   time.Duration // how often to look, at least
	log     *slog.Logger

	serving atomic.Pointer[holding] // nil while there is no certificate
	asked   chan chan error         // by Renew: tell what became of it
	poked   chan struct{}           // by poke

	mu      sync.Mutex // guards what follows
	renewal renewal
	tries   map[string]try // by issuer; "" is the storage
	given   time.Time      // when an issuer gave the last certificate
	rest    time.Time      // no order before then
}

func (m *Manager) newManaged(name string, from []*issuer, every time.Duration) *managed {
	return &managed{
		name: name, folder: certmagic.StorageKeys.Safe(name), issuers: from, storage: m.storage, every: every,
		log:   m.log.With("host", name),
		asked: make(chan chan error), poked: make(chan struct{}, 1), tries: make(map[string]try),
	}
}

// certificate returns what the name is served under, nil if there is nothing yet.
func (n *managed) certificate() *tls.Certificate {
	if h := n.serving.Load(); h != nil {
		return h.pair
	}
	return nil
}

// load takes up the best certificate that is kept. Nothing of the network is needed for it.
func (n *managed) load(ctx context.Context) error {
	var best *holding
	var failed []error
	now := time.Now()
	for _, from := range n.issuers {
		kept, err := from.stored(ctx, n.storage, n.name)
		if damaged, ok := errors.AsType[*damagedError](err); ok {
			n.log.Error("a certificate that is kept is damaged; it is set aside as certificates/damaged/"+damaged.folder, "err", damaged)
			err = setAside(ctx, n.storage, damaged)
		}
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			failed = append(failed, err)
		case kept != nil && kept.better(best, now):
			best = kept
		}
	}
	if before := n.serving.Load(); best != nil && best.replaces(before, now) {
		n.serving.Store(best)
		n.mu.Lock()
		n.renewal = renewalOf(best.pair.Leaf)
		n.renewal.ask = now.Add(rand.N(n.every)) // not for a thousand names at the same moment
		n.settle(best.from)                      // perhaps another process got it: what failed before is over
		n.mu.Unlock()
	}
	return errors.Join(failed...)
}

// run keeps the certificate fresh until ctx is done.
func (n *managed) run(ctx context.Context) {
	var tell chan error
	for {
		next, err := n.look(ctx, tell != nil)
		if tell != nil {
			tell <- err
			tell = nil
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-n.poked:
			timer.Stop()
		case tell = <-n.asked:
			timer.Stop()
		}
	}
}

// outdated reports whether the local CA has another root than the one that signed what is served.
func (n *managed) outdated() bool {
	h := n.serving.Load()
	return h != nil && h.from != nil && h.from.local != nil && h.from.local.outdated(h.pair.Leaf)
}

// hurry has the name looked at now, though it was given a certificate a moment ago.
func (n *managed) hurry() {
	n.mu.Lock()
	n.given, n.rest = time.Time{}, time.Time{}
	n.mu.Unlock()
	n.poke()
}

// poke has the name looked at now.
func (n *managed) poke() {
	select {
	case n.poked <- struct{}{}:
	default:
	}
}

// look gets a certificate if one is due, or asked for, and says when to look again.
func (n *managed) look(ctx context.Context, asked bool) (time.Time, error) {
	later := time.Now().Add(n.every)
	err := n.load(ctx)
	n.note("", err, attempt{})
	if err != nil {
		return n.next(later), err
	}
	n.refreshRenewal(ctx)
	if asked || !time.Now().Before(n.due()) {
		err = n.get(ctx, asked)
	}
	return n.next(later), err
}

// next is when to look again: when the certificate is due, or its CA is to be asked, but not after later.
func (n *managed) next(later time.Time) time.Time {
	next := earliest(n.due(), later)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.renewal.ask.After(time.Now()) {
		next = earliest(next, n.renewal.ask)
	}
	return next
}

// get asks the issuers, one after the other, until one gives a certificate. One that is to be left alone for a while is
// passed over, unless asked says that somebody wants to know now.
func (n *managed) get(ctx context.Context, asked bool) error {
	var failed []error
	for i, from := range n.issuers {
		if !n.wants(i, asked) {
			if before := n.tried(from.name); before.count > 0 {
				failed = append(failed, errors.New(from.name+": "+before.reason))
			}
			continue
		}
		var a attempt
		err := n.getFrom(context.WithValue(ctx, attempts{}, &a), from)
		if err == nil {
			err = n.got(ctx, from.acme == nil || a.posted)
		}
		if err == nil || ctx.Err() != nil {
			return cmp.Or(err, ctx.Err())
		}
		n.note(from.name, err, a)
		n.tell(ctx, from.name)
		failed = append(failed, errors.New(from.name+": "+reason(err)))
	}
	return errors.Join(failed...)
}

// seldom is how far apart attempts are of which each is worth a warning.
const seldom = 5 * time.Minute

// tell logs that an issuer was asked in vain: of attempts in quick succession the first, the second, the fourth and so on, lest a
// thousand hosts fill the disk while a CA is down.
func (n *managed) tell(ctx context.Context, issuer string) {
	t := n.tried(issuer)
	level := slog.LevelDebug
	if t.count&(t.count-1) == 0 || time.Until(t.next) >= seldom {
		level = slog.LevelWarn
	}
	n.log.Log(ctx, level, "no certificate", "issuer", issuer, "reason", t.reason, "attempts", t.count, "next", t.next.UTC())
}

// restAfter is how long no order follows the second certificate in such a time, or in a tenth of its life: a clock that is
// wrong, or a CA that wants each of its certificates renewed at once, must not become a storm of orders.
const restAfter = time.Minute

// got serves what an issuer has given. The local CA only stands in for one that is preferred to it: that is asked again as it
// would be without a certificate. Ordered is false when another process was asked for it.
func (n *managed) got(ctx context.Context, ordered bool) error {
	if err := n.load(ctx); err != nil {
		return err
	}
	h := n.serving.Load()
	if h == nil || h.from == nil {
		return errors.New("what was issued is no better than what is served: is the clock right?")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.settle(h.from)
	now, rest := time.Now(), min(restAfter, life(h.pair.Leaf)/10)
	if now.Sub(n.given) < rest || !now.Before(n.renewal.at) {
		n.rest = now.Add(rest)
	}
	n.given = now
	said := "a certificate was issued"
	if !ordered {
		said = "a certificate that another process ordered is taken up"
	}
	n.log.Info(said, "issuer", h.from.name, "serial", h.pair.Leaf.SerialNumber.Text(16), "ends", h.pair.Leaf.NotAfter.UTC())
	return nil
}

// getFrom has one issuer give a certificate. Each CA has a certain number of names under way: one that hangs does not hold up
// the names of others.
func (n *managed) getFrom(ctx context.Context, from *issuer) error {
	select {
	case from.slots <- struct{}{}:
		defer func() { <-from.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := n.order(ctx, from); !errors.Is(err, errRenewed) {
		return err
	}
	return nil
}

func (n *managed) order(ctx context.Context, from *issuer) error {
	kept, err := from.stored(ctx, n.storage, n.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return from.magic.ObtainCertSync(ctx, n.name)
	case err != nil:
		return err
	}
	if err := from.mendDescription(ctx, n.storage, n.name); err != nil {
		return err
	}
	if h := n.serving.Load(); h != nil && isValid(h.pair.Leaf, time.Now()) {
		ctx = shared.Patient(ctx)
	}
	if n.tried(from.name).posted > 0 {
		ctx = context.WithValue(ctx, refusedBefore{}, true)
	}
	return from.magic.RenewCertSync(context.WithValue(ctx, renewing{}, kept.pair.Leaf), n.name, true)
}
