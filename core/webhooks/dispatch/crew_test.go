package dispatch

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/store/storetest"
)

func TestACrewGrowsWhileThereIsMoreAndGoesWhenThereIsNone(t *testing.T) {
	c := &crew{size: 3}
	if !c.wake() || !c.join() || !c.join() || c.join() || c.wake() {
		t.Error("three are to start")
	}
	w := c.looks()
	if c.foundNothing(w) || c.busy != 2 {
		t.Error("nothing is left")
	}
	if c.join() || c.goesOn() || c.goesOn() || c.busy != 0 {
		t.Error("the others go too, without having looked")
	}
}

func TestWhatComesWhileACrewLooksIsNotMissed(t *testing.T) {
	c := &crew{size: 1}
	c.wake()
	w := c.looks()
	if c.wake() {
		t.Error("more than its size")
	}
	if !c.foundNothing(w) {
		t.Error("it goes, and what has come waits")
	}
	if c.foundNothing(c.looks()) {
		t.Error("it has looked")
	}
	if !c.wake() {
		t.Error("nobody comes")
	}
}

func TestACrewThatIsTooLargeShrinks(t *testing.T) {
	c := &crew{size: 2}
	c.wake()
	c.join()
	c.resize(1)
	if c.goesOn() || !c.goesOn() || c.busy != 1 {
		t.Errorf("%d", c.busy)
	}
}

func TestOneDeliveryIsLookedForTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{Store: storetest.NewMemory()}
		s := on(w, takes(time.Second, Outcome{Kind: OK}))
		s.runs(t)
		synctest.Wait()
		w.writes.Store(0)
		s.keep(t, "a")
		time.Sleep(2 * time.Second)
		if n := w.writes.Load(); n != 4 { // kept, taken, done, and one look that finds nothing
			t.Errorf("%d writes", n)
		}
	})
}
