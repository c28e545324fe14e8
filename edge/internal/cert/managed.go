package cert

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
)

// managed is a name whose certificate edge gets, keeps and renews.
type managed struct {
	name    string
	issuers []*issuer // in order of preference
	storage certmagic.Storage
	slots   chan struct{} // one for each attempt that may be under way, of all names
	every   time.Duration // how often to look, at least
	log     *slog.Logger

	serving atomic.Pointer[holding] // nil while there is no certificate
	asked   chan chan error         // by Renew: tell what became of it
	poked   chan struct{}           // by retry

	mu      sync.Mutex // guards what follows
	renewal renewal
	tries   map[string]try // by issuer; "" is the storage
	given   time.Time      // when an issuer gave the last certificate
	rest    time.Time      // no order before then
}

// holding is a certificate with where it came from.
type holding struct {
	pair *tls.Certificate
	from *issuer // nil when it stands in for one that the present issuers have not given yet
}

// A try is what came of asking one issuer, in vain, since the last certificate.
type try struct {
	count  int
	reason string
	next   time.Time // when to ask it again
}

func (m *Manager) newManaged(name string, from []*issuer, every time.Duration) *managed {
	return &managed{
		name: name, issuers: from, storage: m.storage, slots: m.slots, every: every,
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

// load takes up the newest certificate that is kept. Nothing of the network is needed for it.
func (n *managed) load(ctx context.Context) error {
	var newest *holding
	var failed []error
	for _, from := range n.issuers {
		pair, err := from.stored(ctx, n.storage, n.name)
		if damaged, ok := errors.AsType[*damagedError](err); ok {
			n.log.Error("a certificate that is kept is damaged; it is set aside as certificates/damaged/"+damaged.folder, "err", damaged)
			err = setAside(ctx, n.storage, damaged)
		}
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			failed = append(failed, err)
		case pair != nil && (newest == nil || pair.Leaf.NotBefore.After(newest.pair.Leaf.NotBefore)):
			newest = &holding{pair, from}
		}
	}
	before := n.serving.Load()
	if newest != nil && (before == nil || before.from == nil || !slices.Equal(before.pair.Certificate[0], newest.pair.Certificate[0])) {
		n.serving.Store(newest)
		n.mu.Lock()
		n.renewal = renewalOf(newest.pair.Leaf)
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

// look gets a certificate if one is due, or asked for, and says when to look again.
func (n *managed) look(ctx context.Context, asked bool) (time.Time, error) {
	later := time.Now().Add(n.every)
	err := n.load(ctx)
	n.note("", err, time.Time{})
	if err != nil {
		return n.due(), err
	}
	n.refreshRenewal(ctx)
	if due := n.due(); !asked && time.Now().Before(due) {
		return earliest(due, later), nil
	}
	select {
	case n.slots <- struct{}{}:
		defer func() { <-n.slots }()
	case <-ctx.Done():
		return later, ctx.Err()
	}
	if err := n.get(ctx, asked); err != nil {
		return n.due(), err
	}
	return earliest(n.due(), later), nil
}

// get asks the issuers, one after the other, until one gives a certificate. One that is to be left alone for a while is
// passed over, unless asked says that somebody wants to know now.
func (n *managed) get(ctx context.Context, asked bool) error {
	var failed []error
	h := n.serving.Load()
	for _, from := range n.issuers {
		if h != nil && h.from == from && !asked && n.fresh() {
			break // it stands in for a better issuer, and need not be asked again
		}
		if before := n.tried(from.name); !asked && time.Now().Before(before.next) {
			failed = append(failed, errors.New(from.name+": "+before.reason))
			continue
		}
		var wanted pause
		err := n.getFrom(context.WithValue(ctx, pauses{}, &wanted), from)
		if err == nil {
			return n.got(ctx)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n.note(from.name, err, wanted.until)
		failed = append(failed, errors.New(from.name+": "+reason(err)))
		n.log.Warn("no certificate", "issuer", from.name, "reason", reason(err), "next", n.tried(from.name).next.UTC())
	}
	return errors.Join(failed...)
}

// restAfter is how long no order follows the second certificate in such a time, or in a tenth of its life: a clock that is
// wrong, or a CA that wants each of its certificates renewed at once, must not become a storm of orders.
const restAfter = time.Minute

// got serves what an issuer has given. The local CA only stands in for one that is preferred to it: that is asked again as it
// would be without a certificate.
func (n *managed) got(ctx context.Context) error {
	if err := n.load(ctx); err != nil {
		return err
	}
	h := n.serving.Load()
	n.mu.Lock()
	defer n.mu.Unlock()
	for issuer := range n.tries {
		if h.from.acme != nil || issuer == h.from.name {
			delete(n.tries, issuer)
		}
	}
	now, rest := time.Now(), min(restAfter, life(h.pair.Leaf)/10)
	if now.Sub(n.given) < rest || !now.Before(n.renewal.at) {
		n.rest = now.Add(rest)
	}
	n.given = now
	n.log.Info("a certificate was issued", "issuer", h.from.name, "serial", h.pair.Leaf.SerialNumber.Text(16), "ends", h.pair.Leaf.NotAfter.UTC())
	return nil
}

// fresh reports whether the certificate is not due yet.
func (n *managed) fresh() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Now().Before(n.renewal.at)
}

func (n *managed) getFrom(ctx context.Context, from *issuer) error {
	switch kept, err := from.stored(ctx, n.storage, n.name); {
	case errors.Is(err, fs.ErrNotExist):
		return from.magic.ObtainCertSync(ctx, n.name)
	case err != nil:
		return err
	default:
		ctx = context.WithValue(ctx, renewing{}, kept.Leaf)
		return from.magic.RenewCertSync(ctx, n.name, true)
	}
}

// note keeps what came of asking an issuer, or of reading the storage (""): err, and until when the CA wants to be left alone.
func (n *managed) note(issuer string, err error, until time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil {
		delete(n.tries, issuer)
		return
	}
	t := n.tries[issuer]
	t.count++
	t.reason = reason(err)
	t.next = latest(time.Now().Add(backoff(err, t.count)), until)
	n.tries[issuer] = t
}

func (n *managed) tried(issuer string) try {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tries[issuer]
}

// due is when the certificate has to be got.
func (n *managed) due() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	next := time.Time{} // at once
	if h := n.serving.Load(); h != nil && h.from != nil {
		next = n.renewal.at
	}
	first := true
	for _, t := range n.tries {
		if first || t.next.Before(next) {
			next, first = t.next, false
		}
	}
	return latest(next, n.rest)
}

// retry has what failed tried again at once: the operator may have mended the cause.
func (n *managed) retry() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.tries) == 0 {
		return
	}
	for issuer, t := range n.tries {
		t.next = time.Time{}
		n.tries[issuer] = t
	}
	select {
	case n.poked <- struct{}{}:
	default:
	}
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
