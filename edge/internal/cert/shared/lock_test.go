package shared

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/store/storetest"
)

const lockName = certLock + "a.test"

func TestALockIsHeldByOneHostAndTheNextHasWhatItStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.NewMemory()
		a, b := newHost(t, s, oneKey), newHost(t, s, oneKey) // neither hears of anything
		if err := a.Lock(t.Context(), lockName); err != nil {
			t.Fatal(err)
		}
		if ok, err := b.TryLock(t.Context(), lockName); ok || err != nil {
			t.Error("it is held twice:", err)
		}
		short, cancel := context.WithTimeout(t.Context(), 3*leaseTime)
		defer cancel()
		if err := b.Lock(short, lockName); err == nil {
			t.Error("it is held twice")
		}
		got := make(chan error)
		go func() { got <- b.Lock(t.Context(), lockName) }()
		time.Sleep(time.Minute)
		cert := a.put(0)
		if err := a.Unlock(t.Context(), lockName); err != nil {
			t.Fatal(err)
		}
		if err := <-got; err != nil || !b.has(cert) {
			t.Error("who got the lock does not have what was stored under it:", err)
		}
		if err := b.Unlock(t.Context(), lockName); err != nil {
			t.Error(err)
		}
	})
}

func TestAHostThatWaitsForALockGoesOnWhenTheStoreGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.NewMemory()
		a, b := newHost(t, s, oneKey), newHost(t, s, oneKey)
		if err := a.Lock(t.Context(), lockName); err != nil {
			t.Fatal(err)
		}
		got := make(chan error)
		go func() { got <- b.Lock(t.Context(), lockName) }()
		synctest.Wait()
		s.SetUnavailable(true)
		if err := <-got; err != nil {
			t.Error(err)
		}
		for _, h := range []*host{a, b} {
			if err := h.Keep(t.Context(), lockName); err != nil {
				t.Error(err)
			}
			if err := h.Unlock(t.Context(), lockName); err != nil {
				t.Error(err)
			}
		}
	})
}

// A replica set has no primary for some seconds, in the middle of another host's order.
func TestAHostThatHasTimeWaitsForTheStoreToComeBack(t *testing.T) {
	for away, wantsOther := range map[time.Duration]bool{30 * time.Second: true, time.Hour: false} {
		synctest.Test(t, func(t *testing.T) {
			s := storetest.NewMemory()
			a, b := newHost(t, s, oneKey).run(), newHost(t, s, oneKey)
			if err := a.Lock(t.Context(), lockName); err != nil {
				t.Fatal(err)
			}
			got := make(chan error)
			go func() { got <- b.Lock(Patient(t.Context()), lockName) }()
			synctest.Wait()
			began := time.Now()
			s.SetUnavailable(true)
			time.AfterFunc(away, func() { s.SetUnavailable(false) })
			time.Sleep(5 * time.Second)
			cert := a.put(0)
			if err := a.Unlock(t.Context(), lockName); err != nil {
				t.Fatal(err)
			}
			if err := <-got; err != nil || b.has(cert) != wantsOther {
				t.Errorf("away for %v: it has the other's is %v, %v", away, b.has(cert), err)
			}
			if waited := time.Since(began); waited < holdBack/2 || waited > holdBack+leasePoll {
				t.Errorf("away for %v: it waited for %v", away, waited)
			}
			if err := b.Unlock(t.Context(), lockName); err != nil {
				t.Error(err)
			}
		})
	}
}

// A host whose heartbeats stop, as in a process that stands still, finds another at it.
func TestALockThatWasLostIsNoticedBeforeAnOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.NewMemory()
		a, b := newHost(t, s, oneKey), newHost(t, s, oneKey)
		if err := a.Lock(t.Context(), lockName); err != nil {
			t.Fatal(err)
		}
		s.SetUnavailable(true)
		time.Sleep(2 * leaseTime) // a's lease ends
		s.SetUnavailable(false)
		if err := b.Lock(t.Context(), lockName); err != nil {
			t.Fatal(err)
		}
		if err := a.Keep(t.Context(), lockName); err == nil {
			t.Error("the lock is held twice")
		}
		cert := b.put(0)
		if err := b.Unlock(t.Context(), lockName); err != nil {
			t.Fatal(err)
		}
		if err := a.Unlock(t.Context(), lockName); err != nil {
			t.Fatal(err)
		}
		if err := a.Lock(t.Context(), lockName); err != nil || !a.has(cert) {
			t.Error(err)
		}
		if err := a.Unlock(t.Context(), lockName); err != nil {
			t.Fatal(err)
		}
	})
}
