package rows

import (
	"crypto/rand"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// maxDocumentID bounds document ids that were made elsewhere.
const maxDocumentID = 64

// NewDocumentID returns a document id that no other entry has: 24 lower-case letters and digits, of which the first 8 are the time, so that new entries
// lie together, 3 have those that one process makes in the same moment ascend, and 13 can't be guessed.
func NewDocumentID() string {
	made := uuid.Must(uuid.NewV7()) // ascends within a process; RFC 9562, section 5.7
	milliseconds := binary.BigEndian.Uint64(made[:8]) >> 16
	within := uint64(binary.BigEndian.Uint16(made[6:8]) & 0x0fff)
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	id := append36(make([]byte, 0, 24), milliseconds, 8)
	id = append36(id, within, 3)
	return string(append36(id, binary.BigEndian.Uint64(random[:]), 13))
}

// append36 appends n in base 36, with zeros before it to be so many digits.
func append36(to []byte, n uint64, digits int) []byte {
	text := strconv.FormatUint(n, 36)
	to = append(to, strings.Repeat("0", digits-len(text))...)
	return append(to, text...)
}

// IsDocumentID reports whether s may be a document id: 1 to 64 lower-case letters and digits. Anything else could be the id of another version's row.
func IsDocumentID(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) <= maxDocumentID
}
