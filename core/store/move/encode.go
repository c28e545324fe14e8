package move

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/onehost/edge/core/store"
)

const sumSize = sha256.Size

// sum returns the hash of documents: SHA-256 of the hash of those before, and the last one's encoding. Before the first it is all zeros.
func sum(before, encoded []byte) []byte {
	h := sha256.New()
	h.Write(before)
	h.Write(encoded)
	return h.Sum(nil)
}

// appendDocument appends the one encoding that a document has, whatever store it comes from: no other document has the same. A value is a letter
// for its kind, and then: 8 bytes of a number (a float64 as IEEE 754 has it) or of a time's milliseconds since 1970, big-endian; of strings, bytes and
// lists their length as 8 bytes, and what is in them; a document's is as a list of its names and values, ordered by name.
func appendDocument(b []byte, d store.Document) ([]byte, error) {
	b = appendLength(b, 'm', len(d))
	for _, name := range slices.Sorted(maps.Keys(d)) {
		b = append(appendLength(b, 's', len(name)), name...)
		var err error
		if b, err = appendValue(b, d[name]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func appendLength(b []byte, kind byte, n int) []byte {
	return binary.BigEndian.AppendUint64(append(b, kind), uint64(n))
}

func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, 'n'), nil
	case bool:
		if v {
			return append(b, 'y'), nil
		}
		return append(b, 'z'), nil
	case int64:
		return binary.BigEndian.AppendUint64(append(b, 'i'), uint64(v)), nil
	case float64:
		return binary.BigEndian.AppendUint64(append(b, 'f'), math.Float64bits(v)), nil
	case time.Time:
		return binary.BigEndian.AppendUint64(append(b, 't'), uint64(v.UnixMilli())), nil
	case string:
		return append(appendLength(b, 's', len(v)), v...), nil
	case []byte:
		return append(appendLength(b, 'b', len(v)), v...), nil
	case store.Document:
		return appendDocument(b, v)
	case []any:
		b = appendLength(b, 'l', len(v))
		for _, one := range v {
			var err error
			if b, err = appendValue(b, one); err != nil {
				return nil, err
			}
		}
		return b, nil
	}
	return nil, fmt.Errorf("a store returned a %T, which is no value", v)
}
