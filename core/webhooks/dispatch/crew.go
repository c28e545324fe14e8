package dispatch

import "sync"

// crew are the goroutines that try what is due on a line: none while nothing is, and as many as the source's concurrency while there is enough. They take
// deliveries at the same time, which a store that commits in batches does nearly as fast as one.
type crew struct {
	mu    sync.Mutex
	size  int    // at most
	busy  int    // of them
	wakes uint64 // how often something may have become due
	dry   uint64 // of these, after how many nothing was
}

func (c *crew) resize(size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.size = size
}

// wake says that something may be due, and reports whether somebody has to start.
func (c *crew) wake() (start bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wakes++
	return c.enlist()
}

// join says that something was due, and reports whether somebody else has to start, who looks for more.
func (c *crew) join() (start bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dry < c.wakes && c.enlist()
}

// enlist is called with the lock held.
func (c *crew) enlist() bool {
	if c.busy >= c.size {
		return false
	}
	c.busy++
	return true
}

// looks says that one of them looks for something now.
func (c *crew) looks() (wakes uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wakes
}

// foundNothing says that there was nothing, and reports whether who looked goes on, because there may be since.
func (c *crew) foundNothing(wakes uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dry = max(c.dry, wakes)
	return c.stay()
}

// goesOn reports whether one that has ended an attempt goes on.
func (c *crew) goesOn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stay()
}

// stay is called with the lock held.
func (c *crew) stay() bool {
	if c.dry < c.wakes && c.busy <= c.size {
		return true
	}
	c.busy--
	return false
}
