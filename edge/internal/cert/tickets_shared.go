package cert

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"
)

// takeUp has this host use the keys that the hosts share.
func (t *tickets) takeUp(ctx context.Context) {
	if theirs, _, err := t.theirs(ctx); err == nil && len(theirs) > 0 {
		now := time.Now()
		t.change(now, inUse(t.current(), theirs, now))
	}
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
	if err := t.attempt(ctx, t.agreeOnce); err != nil {
		t.log.Debug("session ticket keys are not shared at the moment", "err", err)
		t.renew(time.Now())
	}
}

// agreeOnce seals nothing with a key that is new before all have it: of hosts that make one at the same time one does.
func (t *tickets) agreeOnce(ctx context.Context) error {
	theirs, version, err := t.theirs(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	own := rotated(inUse(t.current(), theirs, now), now)
	if all := union(theirs, own, now); !slices.Equal(all, theirs) {
		if err := t.shared.Swap(ctx, version, encodeTicketKeys(all)); err != nil {
			return err
		}
	}
	t.change(now, own)
	return nil
}

func (t *tickets) theirs(ctx context.Context) (keys []ticketKey, version string, err error) {
	version, err = t.shared.Read(ctx, func(value []byte) (err error) {
		keys, err = decodeTicketKeys(value)
		return err
	})
	return keys, version, err
}

// ticketSkew is how far the clocks of hosts may differ. A key that was made later than that counts as none, as does one that has had
// its time: it might never be old enough.
const ticketSkew = time.Hour

// inUse are the keys that this host uses: its own and those that the hosts share. One that was made by a clock that is a little
// ahead of ours was made when it was first seen here.
func inUse(own, theirs []ticketKey, now time.Time) []ticketKey {
	theirs = slices.Clone(theirs)
	for i, k := range theirs {
		if ahead := k.made.Sub(now); ahead > 0 && ahead <= ticketSkew {
			theirs[i].made = now.UTC().Truncate(time.Second)
		}
	}
	return union(own, theirs, now)
}

// union are the keys of both that are good, newest first, in the same order everywhere. Of a key that both have the first list's time
// holds.
func union(first, second []ticketKey, now time.Time) []ticketKey {
	var all []ticketKey
	for _, k := range slices.Concat(first, second) {
		age := now.Sub(k.made)
		good := age >= -ticketSkew && age < ticketKeyLifetime
		if good && !slices.ContainsFunc(all, func(o ticketKey) bool { return o.key == k.key }) {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b ticketKey) int {
		return cmp.Or(b.made.Compare(a.made), bytes.Compare(a.key[:], b.key[:]))
	})
	return all[:min(len(all), maxTicketKeys)]
}
