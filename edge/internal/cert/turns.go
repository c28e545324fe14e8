package cert

import (
	"errors"
	"slices"
	"time"

	"github.com/onehost/edge/edge/internal/cert/budget"
)

// A try is what came of asking one issuer, in vain, since the last certificate.
type try struct {
	count   int // of attempts; 0 when another issuer has given a certificate since
	posted  int // of those in which the CA was asked to do something
	reason  string
	refused string    // what the issuer itself said the last time
	last    time.Time // when it was asked
	next    time.Time // when to ask it again
}

// wants reports whether the i-th issuer is to be asked now.
func (n *managed) wants(i int, asked bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if asked { // by a person: only the local CA need not stand in for what is good
		return !n.standsBack(i)
	}
	return !time.Now().Before(n.turn(i))
}

// standsBack reports whether the i-th issuer is the local CA behind others, and what they gave is still good.
func (n *managed) standsBack(i int) bool {
	h := n.serving.Load()
	return i > 0 && n.issuers[i].acme == nil && h != nil && h.from != n.issuers[i] && isValid(h.pair.Leaf, time.Now())
}

// turn is when the i-th issuer has to be asked: when the certificate is due, at once when there is none, the local CA stands in for the
// issuer, or is the issuer and has another root, and not before it may be asked again.
func (n *managed) turn(i int) time.Time {
	var at time.Time // at once
	h, from := n.serving.Load(), n.issuers[i]
	if h != nil && h.from != nil {
		at = n.renewal.at
		if standIn := slices.Index(n.issuers, h.from); h.from.acme == nil && i < standIn || i == standIn && n.outdated() {
			at = time.Time{}
		}
	}
	if n.standsBack(i) {
		at = h.pair.Leaf.NotAfter
	}
	return latest(at, n.tries[from.name].next)
}

// note keeps what came of an attempt at an issuer, or of reading the storage ("").
func (n *managed) note(issuer string, err error, a attempt) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil {
		delete(n.tries, issuer)
		return
	}
	t := n.tries[issuer]
	t.count++
	posted := 0
	if a.posted {
		t.posted++
		posted = t.posted
	}
	why := reason(err)
	if _, spent := errors.AsType[*budget.Spent](err); spent && t.refused != "" {
		t.reason = t.refused + "; " + why // why orders fail matters more than that there are no more
	} else {
		t.reason, t.refused = why, why
	}
	t.last = time.Now()
	t.next = latest(t.last.Add(backoff(err, t.count, posted)), a.until)
	n.tries[issuer] = t
}

// settle forgets the attempts in vain that a certificate of from puts an end to. What issuers that are preferred to it said is
// told on, and those that the local CA stands in for are asked on.
func (n *managed) settle(from *issuer) {
	rank := slices.Index(n.issuers, from)
	for i, issuer := range n.issuers {
		t, failed := n.tries[issuer.name]
		switch {
		case !failed || i < rank && from.acme == nil:
		case i < rank:
			n.tries[issuer.name] = try{reason: t.reason}
		default:
			delete(n.tries, issuer.name)
		}
	}
}

func (n *managed) tried(issuer string) try {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tries[issuer]
}

// due is when the next issuer has to be asked, or the storage to be read again.
func (n *managed) due() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	if t, failed := n.tries[""]; failed {
		return t.next
	}
	next := n.turn(0)
	for i := range n.issuers {
		next = earliest(next, n.turn(i))
	}
	return latest(next, n.rest)
}

// shortestRetry is how soon after an attempt, in which a CA was asked to do something, a reload has the next one made: what
// reloads in a loop may do so.
const shortestRetry = 10 * time.Second

// retry has what failed tried again soon: the operator may have mended the cause.
func (n *managed) retry() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.tries) == 0 {
		return
	}
	for issuer, t := range n.tries {
		soon := time.Time{}
		if t.posted > 0 {
			soon = t.last.Add(shortestRetry)
		}
		t.next = earliest(t.next, soon)
		n.tries[issuer] = t
	}
	n.poke()
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
