package pace

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var pauses = Pauses{Away: 30 * time.Second, Failed: 5 * time.Second}

func TestSlotsAreGivenInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSlots(1)
		s.Acquire(t.Context())
		var mu sync.Mutex
		var order []int
		for i := range 5 {
			go func() {
				s.Acquire(context.Background())
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				s.Release()
			}()
			synctest.Wait()
		}
		s.Release()
		synctest.Wait()
		if !slices.Equal(order, []int{0, 1, 2, 3, 4}) || s.Busy() != 0 {
			t.Errorf("%v, %d busy", order, s.Busy())
		}
	})
}

func TestWhoLeavesTheQueueTakesNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSlots(1)
		s.Acquire(t.Context())
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if s.Acquire(short) {
			t.Error("there are two")
		}
		s.Release()
		if s.Busy() != 0 || !s.Acquire(t.Context()) {
			t.Error("it is lost")
		}
		s.Release()
	})
}

func TestSlotsBecomeMoreAtOnceAndFewerAsTheyAreGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSlots(1)
		for range 4 {
			go s.Acquire(context.Background())
		}
		synctest.Wait()
		for _, step := range []struct{ size, busy int }{{1, 1}, {3, 3}, {2, 3}, {4, 4}} {
			s.Resize(step.size)
			synctest.Wait()
			if s.Busy() != step.busy {
				t.Errorf("of size %d: %d busy, want %d", step.size, s.Busy(), step.busy)
			}
		}
		s.Resize(2)
		s.Release()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if s.Acquire(short) {
			t.Error("a third")
		}
	})
}

// passing tells how many of those that try may be under way at once.
func passing(t *testing.T, b *Breaker) (n int) {
	t.Helper()
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	for n < 20 && b.Pass(short) {
		n++
	}
	for range n {
		b.Leave()
	}
	return n
}

func TestWhoIsAwayIsTriedByOneAfterPausesThatGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker(pauses)
		if passing(t, b) != 20 || b.Paused() {
			t.Error("closed from the beginning")
		}
		var waited []time.Duration
		for i := range 8 {
			start := time.Now()
			if !b.Pass(t.Context()) {
				t.Fatal("it does not end")
			}
			waited = append(waited, time.Since(start))
			if _, news := b.Away(time.Now(), 0, false); news != (i == 0) {
				t.Errorf("time %d: news is %v", i, news)
			}
			b.Leave()
			if n := passing(t, b); n != 0 {
				t.Fatalf("%d pass in a pause", n)
			}
		}
		for i, want := range []time.Duration{0, 1, 2, 4, 8, 16, 30, 30} {
			if want *= time.Second; waited[i] > want || waited[i] < want-want/5-time.Second/100 {
				t.Errorf("wait %d was %v, and was to be about %v", i, waited[i], want)
			}
		}
		time.Sleep(time.Minute)
		for want := 1; want < 4; want++ {
			if n := passing(t, b); n != want || b.Paused() != (want == 1) {
				t.Errorf("%d at once, want %d", n, want)
			}
			if news := b.Took(time.Now()); news != (want == 1) {
				t.Errorf("news is %v", news)
			}
		}
	})
}

func TestWhatBeganBeforeAPauseSaysNothingNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker(pauses)
		early := time.Now()
		time.Sleep(time.Second)
		b.Away(time.Now(), 0, false)
		for range 10 {
			b.Away(early, 0, false)
		}
		if b.Took(early) || !b.Paused() {
			t.Error("an old answer ends a pause")
		}
		time.Sleep(time.Second)
		if n := passing(t, b); n != 1 {
			t.Errorf("%d pass: many that failed together are one failure", n)
		}
	})
}

func TestWhoAsksForAPauseGetsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker(pauses)
		for range 8 {
			b.Pass(t.Context())
		}
		if pause, _ := b.Away(time.Now(), 7*time.Minute, true); pause != 7*time.Minute {
			t.Errorf("%v", pause)
		}
		for range 8 {
			b.Leave()
		}
		time.Sleep(7 * time.Minute)
		if n := passing(t, b); n != 4 {
			t.Errorf("%d at once: half of eight", n)
		}
	})
}

func TestFiveFailuresInARowAreAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker(pauses)
		for range 3 {
			for range 4 {
				b.Failed(time.Now())
			}
			b.Took(time.Now())
		}
		if b.Paused() {
			t.Error("they were not in a row")
		}
		for i := range 20 {
			if news := b.Failed(time.Now()); news != (i == 4) {
				t.Errorf("failure %d: news is %v", i, news)
			}
			time.Sleep(pauses.Failed)
		}
		if n := passing(t, b); n != 1 {
			t.Errorf("%d at once", n)
		}
	})
}

func TestAllWhoWaitPassWhenTheyMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker(pauses)
		b.Away(time.Now(), 0, false)
		passed := 0
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				if b.Pass(context.Background()) {
					passed++ // one at a time: the breaker's limit is one
					b.Leave()
				}
			})
		}
		all.Wait()
		if passed != 5 {
			t.Errorf("%d", passed)
		}
	})
}
