//go:build !race

package front

import "testing"

// TestAllocations keeps the way of a request from allocating more than the string of its head.
// The race detector makes pools forget at random, so it is not measured there.
func TestAllocations(t *testing.T) {
	const n = 5000
	if got := testing.AllocsPerRun(1, func() { keepAlive(n) }) / n; got > 1.05 {
		t.Errorf("%.2f allocations for an exchange, want 1", got)
	}
}
