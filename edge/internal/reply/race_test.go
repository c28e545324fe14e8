//go:build race

package reply_test

// raceEnabled: the race detector makes sync.Pool drop things, so allocations can't be counted.
const raceEnabled = true
