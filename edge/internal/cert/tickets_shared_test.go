package cert

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/fault"
)

// oneDocument is what hosts share, and tells them of every change.
type oneDocument struct {
	mu      sync.Mutex
	value   []byte
	version int
	away    bool
	told    []*tickets
}

func (d *oneDocument) Read(_ context.Context, decode func([]byte) error) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.away:
		return "", fault.Unavailable
	case d.value == nil:
		return "", nil
	}
	return fmt.Sprint(d.version), decode(d.value)
}

func (d *oneDocument) Swap(_ context.Context, version string, value []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.value != nil && version != fmt.Sprint(d.version) || d.value == nil && version != "" {
		return fault.Conflict
	}
	d.value = value
	d.version++
	for _, t := range d.told {
		t.hear()
	}
	return nil
}

// run has n hosts share the document in a synctest bubble.
func (d *oneDocument) run(t *testing.T, n int) {
	for range n {
		kept := openTickets(t.TempDir(), slog.New(slog.DiscardHandler))
		kept.shared = d
		d.mu.Lock()
		d.told = append(d.told, kept)
		d.mu.Unlock()
		go kept.Run(t.Context())
	}
	synctest.Wait()
}

func (d *oneDocument) wantAgreement(t *testing.T) []ticketKey {
	t.Helper()
	first := d.told[0].current()
	for i, other := range d.told {
		if !slices.Equal(other.current(), first) {
			t.Errorf("host %d has %d keys, the first has %d, or others", i, len(other.current()), len(first))
		}
	}
	return first
}

func TestHostsRotateOneKeyADayTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &oneDocument{}
		d.run(t, 3)
		if n := len(d.wantAgreement(t)); n != 3 {
			t.Errorf("%d keys at first", n)
		}
		for range 30 {
			time.Sleep(ticketKeyRotation + time.Minute)
			synctest.Wait()
			d.wantAgreement(t)
		}
		keys := d.wantAgreement(t)
		if len(keys) > 8 {
			t.Errorf("%d keys after a month", len(keys))
		}
		theirs, err := decodeTicketKeys(d.value)
		if err != nil || !slices.Equal(theirs, keys) {
			t.Error("the store has others:", len(theirs), err)
		}
	})
}

func TestHostsThatWereApartForDaysHaveTheKeysOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &oneDocument{}
		d.run(t, 3)
		d.mu.Lock()
		d.away = true
		d.mu.Unlock()
		time.Sleep(100 * time.Hour)
		var all []ticketKey
		for _, kept := range d.told {
			all = append(all, kept.current()...)
		}
		d.mu.Lock()
		d.away = false
		d.mu.Unlock()
		for _, kept := range d.told {
			kept.agreeSoon()
		}
		synctest.Wait()
		merged := d.wantAgreement(t)
		for _, k := range all {
			if !slices.ContainsFunc(merged, func(m ticketKey) bool { return m.key == k.key }) {
				t.Errorf("the key of %v is lost", k.made)
			}
		}
	})
}

// A host whose clock is a little ahead makes keys that the others use; one that is wrong by years makes keys that they throw away.
func TestHostsWhoseClocksDifferDoNotAnswerOneAnotherWithoutEnd(t *testing.T) {
	for off, wanted := range map[time.Duration]bool{5 * time.Second: true, 24 * 365 * time.Hour: false, -24 * 365 * time.Hour: false} {
		synctest.Test(t, func(t *testing.T) {
			d := &oneDocument{}
			key := ticketKey{made: time.Now().UTC().Add(off), key: [32]byte{1}}
			d.value, d.version = encodeTicketKeys([]ticketKey{key}), 1
			d.run(t, 2)
			before := d.version
			time.Sleep(10 * time.Minute)
			if d.version != before || before > 5 {
				t.Errorf("%v: written %d times, then %d", off, before, d.version)
			}
			isKey := func(k ticketKey) bool { return k.key == key.key }
			theirs, err := decodeTicketKeys(d.value)
			if err != nil || slices.ContainsFunc(theirs, isKey) != wanted || slices.ContainsFunc(d.told[0].current(), isKey) != wanted {
				t.Errorf("%v: the key is not used, or kept: %v", off, err)
			}
			if slices.ContainsFunc(d.told[0].current(), func(k ticketKey) bool { return k.made.After(time.Now()) }) {
				t.Errorf("%v: a key that is not made yet is used", off)
			}
			time.Sleep(8 * 24 * time.Hour)
			if slices.ContainsFunc(d.told[0].current(), isKey) {
				t.Errorf("%v: the key is used for more than a week", off)
			}
		})
	}
}
