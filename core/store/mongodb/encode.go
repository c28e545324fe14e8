package mongodb

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/onehost/edge/core/store"
)

// encode returns a normal document in BSON (bsonspec.org), its id as _id in front, the other fields in the order of their names.
func encode(d store.Document, size int) bson.Raw {
	b := make([]byte, 4, size+len("_"))
	b = appendField(b, "_id", d.ID())
	for _, name := range slices.Sorted(maps.Keys(d)) {
		if name != "id" {
			b = appendField(b, name, d[name])
		}
	}
	return end(b, 0)
}

// literal returns a normal value as the driver takes it for a part of a command.
func literal(v any) any {
	switch v := v.(type) {
	case time.Time:
		return bson.DateTime(v.UnixMilli())
	case []byte:
		return bson.Binary{Data: v}
	case []any, store.Document:
		kind, b := appendValue(nil, v)
		return bson.RawValue{Type: kind, Value: b}
	}
	return v
}

func appendField(b []byte, name string, v any) []byte {
	at := len(b)
	b = append(b, 0)
	b = append(b, name...)
	b = append(b, 0)
	kind, b := appendValue(b, v)
	b[at] = byte(kind)
	return b
}

// appendValue appends a normal value and returns which type of BSON it has become.
func appendValue(b []byte, v any) (bson.Type, []byte) {
	switch v := v.(type) {
	case bool:
		if v {
			return bson.TypeBoolean, append(b, 1)
		}
		return bson.TypeBoolean, append(b, 0)
	case int64:
		return bson.TypeInt64, binary.LittleEndian.AppendUint64(b, uint64(v))
	case float64:
		return bson.TypeDouble, binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	case string:
		b = binary.LittleEndian.AppendUint32(b, uint32(len(v)+1))
		return bson.TypeString, append(append(b, v...), 0)
	case time.Time:
		return bson.TypeDateTime, binary.LittleEndian.AppendUint64(b, uint64(v.UnixMilli()))
	case []byte:
		b = binary.LittleEndian.AppendUint32(b, uint32(len(v)))
		return bson.TypeBinary, append(append(b, bson.TypeBinaryGeneric), v...)
	case []any:
		start := len(b)
		b = append(b, 0, 0, 0, 0)
		for i, e := range v {
			b = appendField(b, strconv.Itoa(i), e)
		}
		return bson.TypeArray, end(b, start)
	case store.Document:
		start := len(b)
		b = append(b, 0, 0, 0, 0)
		for _, name := range slices.Sorted(maps.Keys(v)) {
			b = appendField(b, name, v[name])
		}
		return bson.TypeEmbeddedDocument, end(b, start)
	}
	return bson.TypeNull, b
}

// end closes the document or list that starts there with room for its length.
func end(b []byte, start int) []byte {
	b = append(b, 0)
	binary.LittleEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b
}
