package cert

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/onehost/edge/core/fault"
)

// hear has what another host has done to the keys taken up.
func (t *tickets) hear() { signal(t.heard) }

// agreeSoon has the keys of this host and those of the others brought together.
func (t *tickets) agreeSoon() { signal(t.soon) }

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// takeUp has this host use the keys that the hosts share. It writes nothing to the store: hosts whose clocks differ by days would
// answer one another without end.
func (t *tickets) takeUp(ctx context.Context) {
	if t.shared == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, agreeTimeout)
	defer cancel()
	if theirs, _, err := t.theirs(ctx); err == nil && len(theirs) > 0 {
		t.use(theirs)
	}
}

// use adds the keys that the hosts share to those of this one.
func (t *tickets) use(theirs []ticketKey) {
	now := time.Now()
	t.change(now, inUse(t.current(), theirs, now))
}

func (t *tickets) current() []ticketKey {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.keys)
}

// agree has the hosts have one set of keys: those of all, and a new one when it is due. While the store is away this host goes on
// with its own.
func (t *tickets) agree(ctx context.Context) {
	if t.shared == nil {
		t.renew(time.Now())
		return
	}
	ctx, cancel := context.WithTimeout(ctx, agreeTimeout)
	defer cancel()
	err := errors.New("others are always faster")
	for range agreeAttempts {
		if err = t.agreeOnce(ctx); !errors.Is(err, fault.Conflict) {
			break
		}
	}
	if err != nil {
		t.log.Debug("session ticket keys are not shared at the moment", "err", err)
		t.renew(time.Now())
	}
}

func (t *tickets) agreeOnce(ctx context.Context) error {
	theirs, version, err := t.theirs(ctx)
	if err != nil {
		return err
	}
	t.use(theirs) // and makes the key that is due, unless one of them has
	all := union(theirs, t.current(), time.Now())
	if slices.Equal(all, theirs) {
		return nil
	}
	return t.shared.SwapTickets(ctx, version, encodeTicketKeys(all))
}

func (t *tickets) theirs(ctx context.Context) (keys []ticketKey, version string, err error) {
	value, version, err := t.shared.ReadTickets(ctx)
	if err == nil && value != nil {
		keys, err = decodeTicketKeys(value)
	}
	return keys, version, err
}

// inUse are the keys that this host uses: its own and those that the hosts share. One that was made by a clock that is ahead of ours
// was made now, lest it be never old enough.
func inUse(own, theirs []ticketKey, now time.Time) []ticketKey {
	all := slices.Concat(own, theirs)
	for i := range all {
		if all[i].made.After(now) {
			all[i].made = now.UTC().Truncate(time.Second)
		}
	}
	slices.SortStableFunc(all, func(a, b ticketKey) int { return a.made.Compare(b.made) }) // of one key the earlier time holds
	return union(nil, all, now)
}

// union are the keys of both that have not had their time, newest first, in the same order everywhere. When one of a key's times is
// the first list's, it stays; otherwise the first one does.
func union(first, second []ticketKey, now time.Time) []ticketKey {
	var all []ticketKey
	for _, k := range slices.Concat(first, second) {
		had := now.Sub(k.made) >= ticketKeyLifetime
		if !had && !slices.ContainsFunc(all, func(o ticketKey) bool { return o.key == k.key }) {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b ticketKey) int {
		return cmp.Or(b.made.Compare(a.made), bytes.Compare(a.key[:], b.key[:]))
	})
	return all[:min(len(all), maxTicketKeys)]
}
