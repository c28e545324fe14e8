package cert

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/onehost/edge/edge/internal/cert/budget"
)

// renewal is when a certificate is replaced.
type renewal struct {
	at          time.Time
	explanation string    // URL of the CA's page that says why then, "" if there is none
	ask         time.Time // when the CA is asked again; zero: never
}

// renewalOf is what is known without the CA: a third before the certificate's end
// (https://letsencrypt.org/docs/integration-guide/).
func renewalOf(leaf *x509.Certificate) renewal {
	return renewal{at: leaf.NotAfter.Add(-life(leaf) / 3)}
}

func life(leaf *x509.Certificate) time.Duration { return leaf.NotAfter.Sub(leaf.NotBefore) }

// looksPerAsk is how many looks at a certificate pass at most before its CA is asked again when to renew it, even when
// the CA would be content with less (Retry-After, RFC 9773, section 4.3): a revoked certificate is not served for hours.
const looksPerAsk = 6

// refreshRenewal asks the CA that gave the certificate when it wants it renewed (RFC 9773), if that is due. What can't be
// asked leaves things as they are.
func (n *managed) refreshRenewal(ctx context.Context) {
	h := n.serving.Load()
	n.mu.Lock()
	ask := n.renewal.ask
	n.mu.Unlock()
	now := time.Now()
	if h == nil || h.from == nil || h.from.acme == nil || ask.IsZero() || now.Before(ask) || now.After(h.pair.Leaf.NotAfter) {
		return
	}
	window, err := h.from.acme.renewalInfo(ctx, h.pair.Leaf)
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case errors.Is(err, errNoRenewalInfo):
		n.renewal.ask = time.Time{}
	case err != nil:
		n.renewal.ask = now.Add(n.every)
		n.log.Debug("the CA does not say when to renew", "issuer", h.from.name, "err", err)
	default:
		n.renewal.ask = now.Add(looksPerAsk * n.every)
		if !window.again.IsZero() && window.again.Before(n.renewal.ask) {
			n.renewal.ask = latest(window.again, now.Add(n.every))
		}
		at := window.timeFor(h.pair.Leaf)
		if !at.Equal(n.renewal.at) {
			n.log.Info("the CA says when to renew", "issuer", h.from.name, "at", at, "explanation", window.explanation)
		}
		n.renewal.at, n.renewal.explanation = at, window.explanation
	}
}

// timeFor is the time in the window at which a certificate is renewed: another one for each certificate, and the same after a
// restart. In a window as long as the certificate's life, as those of a minute may have, it leaves a quarter of that for
// attempts in vain; and it is before the last twentieth whatever the CA says.
func (w renewalWindow) timeFor(leaf *x509.Certificate) time.Time {
	at := w.start
	if signature := leaf.Signature; len(signature) >= 8 { // as good as random
		share := binary.BigEndian.Uint64(signature[len(signature)-8:])
		at = w.start.Add(time.Duration(share % uint64(w.end.Sub(w.start))))
	}
	at = earliest(at, latest(w.start, leaf.NotAfter.Add(-life(leaf)/4)))
	return earliest(at, leaf.NotAfter.Add(-life(leaf)/20)).UTC().Truncate(time.Second)
}

// backoff is how long to wait after the count-th attempt in vain. posted is how many of them asked the CA to do something, 0 if
// the last did not: each costs it work and counts against us there, whatever it, or what stands before it, said then.
func backoff(err error, count, posted int) time.Duration {
	var wait time.Duration
	switch spent, isSpent := errors.AsType[*budget.Spent](err); {
	case isSpent:
		wait = time.Until(spent.Until)
	case posted == 1 && isUnreachable(err): // it went away in the middle of the order: it is asked for its directory until it is back
		wait = time.Second
	case posted > 0: // Let's Encrypt takes five failed validations of a name an hour, and counts orders
		wait = min(10*time.Second<<min(2*(posted-1), 16), time.Hour)
	case isUnreachable(err): // nothing was asked but the directory
		wait = min(time.Second<<min(count-1, 8), 5*time.Second)
	default: // from here, as from the disk
		wait = min(5*time.Second<<min(count-1, 8), time.Minute)
	}
	return wait + rand.N(max(wait, 0)/5+1)
}
