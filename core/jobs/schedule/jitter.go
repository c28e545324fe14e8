package schedule

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"time"
)

// Jitter returns how much later than it is due a job starts: at least 0 and less than most, spread evenly over jobs and due times, and for the same
// job and due time always the same, on every host and after every restart.
func Jitter(job string, due time.Time, most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 64), uint64(due.Unix()))
	b = binary.BigEndian.AppendUint32(b, uint32(due.Nanosecond()))
	sum := sha256.Sum256(append(b, job...))
	part, _ := bits.Mul64(binary.BigEndian.Uint64(sum[:]), uint64(most))
	return time.Duration(part)
}
