//go:build !edge_nodoor

package front

import "runtime"

// doorPlaces is how many handshakes are computed at a time.
func doorPlaces() int { return max(1, runtime.GOMAXPROCS(0)/2) }
