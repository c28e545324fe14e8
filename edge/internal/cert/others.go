package cert

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"sync"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"github.com/onehost/edge/edge/internal/cert/shared"
)

const (
	othersTimeout = 2 * time.Second        // for an answer to whoever asks
	othersPause   = 100 * time.Millisecond // between two questions to the store
	maxWaiting    = 1000                   // who wait for an answer
)

// others are the hosts that share challenges with this one, asked through the store for an answer that is not here. Anybody may
// have them asked, by any name and token, so the store's work is bounded: all that is wanted at a time is one question, one is under way, and
// there are at most ten in a second. What was not there is asked for again: if it were remembered, a stranger who asks first
// could keep an answer from the CA.
type others struct {
	ask  func(ctx context.Context, ids []string) (map[string][]byte, error)
	turn chan struct{} // held by who asks

	mu      sync.Mutex // guards what follows
	next    *question  // nil: nobody waits to ask one
	waiting int
	last    time.Time // when a question was answered
}

// question is one for all that is wanted at a time.
type question struct {
	ids      []string
	answered chan struct{}
	found    map[string][]byte // once answered
}

func newOthers(ask func(ctx context.Context, ids []string) (map[string][]byte, error)) *others {
	return &others{ask: ask, turn: make(chan struct{}, 1)}
}

// find returns the answer of that id that another host has put there, nil if there is none.
func (o *others) find(id string) []byte {
	q, first := o.join(id)
	if q == nil {
		return nil
	}
	defer o.leave()
	if first {
		o.put(q)
	}
	timer := time.NewTimer(othersTimeout)
	defer timer.Stop()
	select {
	case <-q.answered:
		return q.found[id]
	case <-timer.C:
		return nil
	}
}

// join adds an id to the next question, nil if too many wait. The first has to put it.
func (o *others) join(id string) (q *question, first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.waiting == maxWaiting {
		return nil, false
	}
	o.waiting++
	first = o.next == nil
	if first {
		o.next = &question{answered: make(chan struct{})}
	}
	o.next.ids = append(o.next.ids, id)
	return o.next, first
}

func (o *others) leave() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting--
}

// put asks when it is its turn.
func (o *others) put(q *question) {
	defer close(q.answered)
	ctx, cancel := context.WithTimeout(context.Background(), othersTimeout)
	defer cancel()
	mine := o.await(ctx)
	o.mu.Lock()
	o.next = nil
	o.mu.Unlock()
	if !mine {
		return
	}
	q.found, _ = o.ask(ctx, q.ids) // a store that is away has no answers
	o.mu.Lock()
	o.last = time.Now()
	o.mu.Unlock()
	<-o.turn
}

func (o *others) await(ctx context.Context) bool {
	select {
	case o.turn <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	o.mu.Lock()
	pause := time.NewTimer(time.Until(o.last.Add(othersPause)))
	o.mu.Unlock()
	defer pause.Stop()
	select {
	case <-pause.C:
		return true
	case <-ctx.Done():
		<-o.turn
		return false
	}
}

func httpID(token string) string { return "http-01/" + token }
func alpnID(name string) string  { return "tls-alpn-01/" + name }

// tell has the other hosts find an answer. Where that fails this host still has it.
func (c *challenges) tell(ctx context.Context, a shared.Answer) {
	if c.shared == nil {
		return
	}
	if err := c.shared.PutAnswer(ctx, a); err != nil {
		c.log.Info("the other hosts can't answer a challenge for this one", "challenge", a.ID, "err", err)
	}
}

// takeBack ends tell. What can't be removed ends by itself.
func (c *challenges) takeBack(ctx context.Context, a shared.Answer) {
	if c.shared == nil {
		return
	}
	if err := c.shared.RemoveAnswer(context.WithoutCancel(ctx), a); err != nil {
		c.log.Debug("an answer to a challenge stays for a while", "challenge", a.ID, "err", err)
	}
}

// encodeALPN writes what the certificate that answers a TLS-ALPN-01 challenge is made of.
func encodeALPN(chal acme.Challenge) []byte {
	value, err := json.Marshal(acme.Challenge{Type: chal.Type, Identifier: chal.Identifier, Token: chal.Token, KeyAuthorization: chal.KeyAuthorization})
	if err != nil {
		panic(err) // there is nothing in it that JSON does not know
	}
	return value
}

// alpnAnswer makes the certificate, nil if it can't be made.
func alpnAnswer(value []byte) *tls.Certificate {
	var chal acme.Challenge
	if len(value) == 0 || json.Unmarshal(value, &chal) != nil {
		return nil
	}
	answer, err := acmez.TLSALPN01ChallengeCert(chal)
	if err != nil {
		return nil
	}
	return answer
}
