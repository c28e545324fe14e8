package mongodb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/onehost/edge/core/store"
)

var errCut = errors.New("it is cut off or damaged")

// decode returns a document from BSON (bsonspec.org). It shares no memory with it. A value that edge would not have written is an
// error that says where it is.
func decode(collection string, raw []byte) (store.Document, error) {
	d, rest, err := decodeDocument(raw, 1)
	if err == nil && len(rest) != 0 {
		err = errCut
	}
	if err != nil {
		return nil, fmt.Errorf("%s, document %.80q: %w", collection, idOf(raw), err)
	}
	if _, ok := d["id"]; ok {
		return nil, fmt.Errorf("%s, document %.80q: it has a field id besides its _id", collection, idOf(raw))
	}
	id, ok := d["_id"].(string)
	if !ok {
		return nil, fmt.Errorf("%s, document %s: its _id is not a string: something else than edge has written it", collection, idOf(raw))
	}
	delete(d, "_id")
	d["id"] = id
	for name, v := range d {
		if v == nil {
			delete(d, name)
		}
	}
	return d, nil
}

// idOf returns what can be said of the id of a document that may be damaged.
func idOf(raw []byte) string {
	v, err := bson.Raw(raw).LookupErr("_id")
	if err != nil {
		return "without an _id"
	}
	if s, ok := v.StringValueOK(); ok {
		return s
	}
	return v.String()
}

// decodeDocument returns the document in front of b, and what follows it.
func decodeDocument(b []byte, level int) (store.Document, []byte, error) {
	inner, rest, err := body(b, level)
	if err != nil {
		return nil, nil, err
	}
	d := make(store.Document, 8)
	for len(inner) > 0 {
		kind, name, value, err := element(inner)
		if err != nil {
			return nil, nil, err
		}
		var v any
		if v, inner, err = decodeValue(kind, value, level); err != nil {
			return nil, nil, fmt.Errorf("field %.80q: %w", name, err)
		}
		if !utf8.Valid(name) {
			return nil, nil, fmt.Errorf("the name %.80q is not UTF-8", name)
		}
		d[string(name)] = v
	}
	return d, rest, nil
}

// decodeList is decodeDocument for a list. That the names are 0, 1, … is not looked at: their order is the list's.
func decodeList(b []byte, level int) ([]any, []byte, error) {
	inner, rest, err := body(b, level)
	if err != nil {
		return nil, nil, err
	}
	list := []any{}
	for len(inner) > 0 {
		kind, name, value, err := element(inner)
		if err != nil {
			return nil, nil, err
		}
		var v any
		if v, inner, err = decodeValue(kind, value, level); err != nil {
			return nil, nil, fmt.Errorf("value %.80s: %w", name, err)
		}
		list = append(list, v)
	}
	return list, rest, nil
}

// body returns the elements of the document or list in front of b, without its length and end, and what follows it.
func body(b []byte, level int) (inner, rest []byte, err error) {
	if level > store.MaxDepth+1 {
		return nil, nil, fmt.Errorf("it has more than %d levels", store.MaxDepth)
	}
	if len(b) < 5 {
		return nil, nil, errCut
	}
	n := int64(binary.LittleEndian.Uint32(b))
	if n < 5 || n > int64(len(b)) || b[n-1] != 0 {
		return nil, nil, errCut
	}
	return b[4 : n-1], b[n:], nil
}

func element(b []byte) (kind bson.Type, name, value []byte, err error) {
	n := bytes.IndexByte(b[1:], 0)
	if n < 0 {
		return 0, nil, nil, errCut
	}
	return bson.Type(b[0]), b[1 : 1+n], b[n+2:], nil
}

// decodeValue returns the value in front of b, and what follows it.
func decodeValue(kind bson.Type, b []byte, level int) (any, []byte, error) {
	switch kind {
	case bson.TypeNull:
		return nil, b, nil
	case bson.TypeString:
		return decodeString(b)
	case bson.TypeInt64:
		n, b, err := word(b)
		return int64(n), b, err
	case bson.TypeDouble:
		return decodeFloat(b)
	case bson.TypeDateTime:
		return decodeTime(b)
	case bson.TypeBinary:
		return decodeBytes(b)
	case bson.TypeEmbeddedDocument:
		return decodeDocument(b, level+1)
	case bson.TypeArray:
		return decodeList(b, level+1)
	case bson.TypeInt32:
		if len(b) < 4 {
			return nil, nil, errCut
		}
		return int64(int32(binary.LittleEndian.Uint32(b))), b[4:], nil
	case bson.TypeBoolean:
		if len(b) < 1 || b[0] > 1 {
			return nil, nil, errCut
		}
		return b[0] == 1, b[1:], nil
	default:
		return nil, nil, fmt.Errorf("a value of the type %s, which edge does not write", kind)
	}
}

func word(b []byte) (uint64, []byte, error) {
	if len(b) < 8 {
		return 0, nil, errCut
	}
	return binary.LittleEndian.Uint64(b), b[8:], nil
}

func decodeString(b []byte) (any, []byte, error) {
	if len(b) < 5 {
		return nil, nil, errCut
	}
	n := int64(binary.LittleEndian.Uint32(b))
	b = b[4:]
	if n < 1 || n > int64(len(b)) || b[n-1] != 0 {
		return nil, nil, errCut
	}
	if !utf8.Valid(b[:n-1]) {
		return nil, nil, errors.New("a string that is not UTF-8")
	}
	return string(b[:n-1]), b[n:], nil
}

func decodeBytes(b []byte) (any, []byte, error) {
	if len(b) < 5 {
		return nil, nil, errCut
	}
	n, kind := int64(binary.LittleEndian.Uint32(b)), b[4]
	b = b[5:]
	if n > int64(len(b)) {
		return nil, nil, errCut
	}
	if kind != bson.TypeBinaryGeneric {
		return nil, nil, fmt.Errorf("bytes of the subtype %d, which edge does not write", kind)
	}
	return append([]byte{}, b[:n]...), b[n:], nil
}

func decodeFloat(b []byte) (any, []byte, error) {
	n, b, err := word(b)
	f := math.Float64frombits(n)
	if err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
		err = fmt.Errorf("the number %v, which edge does not write", f)
	}
	return f, b, err
}

func decodeTime(b []byte) (any, []byte, error) {
	n, b, err := word(b)
	t := time.UnixMilli(int64(n)).UTC()
	if err == nil && (t.Year() < 1 || t.Year() > 9999) {
		err = errors.New("a time that is not in the years 1 to 9999")
	}
	return t, b, err
}
