//go:build race

package site

// raceEnabled: the race detector makes sync.Pool drop things, so allocations can't be counted.
const raceEnabled = true
