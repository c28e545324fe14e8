//go:build !race

package front

import "testing"

// TestAllocations keeps the way of a request from allocating.
// The race detector makes pools forget at random, so it is not measured there.
func TestAllocations(t *testing.T) {
	const n = 5000
	if got := testing.AllocsPerRun(1, func() { keepAlive(n) }) / n; got > 0.05 {
		t.Errorf("%.2f allocations for an exchange, want 0", got)
	}
}
