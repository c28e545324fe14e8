package store

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/onehost/edge/core/fault"
)

// Normal returns a copy of d as a store keeps it, and its [Size]; what is not valid is invalid or too_large:
//
//   - a string is valid UTF-8 and does not begin with U+10FFFF, which is no character;
//   - a float64 is a number, neither infinite nor NaN, and -0 becomes 0; an int becomes an int64;
//   - a time has a year from 1 to 9999, becomes UTC and is cut to the millisecond;
//   - a field of the document itself has the name of a path, [MaxName] bytes at most, and goes when it is null;
//     a name further down is any string without U+0000 of at most 1,024 bytes, and its null stays;
//   - a document has an id, at most [MaxDepth] levels and [MaxDocument] bytes.
func Normal(d Document) (Document, int, error) {
	if err := checkID(d["id"]); err != nil {
		return nil, 0, err
	}
	kept := make(Document, len(d))
	size := documentOverhead
	for name, v := range d {
		if err := checkName(name); err != nil {
			return nil, 0, err
		}
		v, n, err := normal(v, 2)
		if err != nil {
			return nil, 0, fmt.Errorf("field %s: %w", name, err)
		}
		if v != nil {
			kept[name] = v
			size += len(name) + fieldOverhead + n
		}
	}
	if size > MaxDocument {
		return nil, 0, fmt.Errorf("document %s has %d bytes, and at most %d can be kept: %w", kept.ID(), size, MaxDocument, fault.TooLarge)
	}
	return kept, size, nil
}

// BSON's figures (bsonspec.org), so that what is kept in one engine can be in the other.
const (
	documentOverhead = 5 // length and end
	fieldOverhead    = 2 // type and the name's end
)

// Size returns how many bytes a normal document has, as BSON counts them.
func Size(d Document) int {
	size := documentOverhead
	for name, v := range d {
		size += len(name) + fieldOverhead + sizeOf(v)
	}
	return size
}

func sizeOf(v any) int {
	switch v := v.(type) {
	case nil:
		return 0
	case bool:
		return 1
	case string:
		return len(v) + 5
	case []byte:
		return len(v) + 5
	case []any:
		size := documentOverhead
		for i, e := range v {
			size += digits(i) + fieldOverhead + sizeOf(e)
		}
		return size
	case Document:
		return Size(v)
	}
	return 8
}

// digits counts the digits of i: the names of a list's values in BSON.
func digits(i int) int {
	n := 1
	for ; i >= 10; i /= 10 {
		n++
	}
	return n
}

// NormalValue is [Normal] for one value of a field, such as one that a condition compares with.
func NormalValue(v any) (any, error) {
	v, _, err := normal(v, 1)
	return v, err
}

// normal is told on which level v would be, were it a list or a document: a document itself is on the first.
func normal(v any, level int) (any, int, error) {
	switch v := v.(type) {
	case nil, bool, int64:
		return v, sizeOf(v), nil
	case int:
		return int64(v), 8, nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, 0, fmt.Errorf("%v is no number that can be kept: %w", v, fault.Invalid)
		}
		return v + 0, 8, nil // -0 + 0 is 0 (IEEE 754, section 6.3)
	case string:
		return v, sizeOf(v), checkString(v)
	case time.Time:
		v = v.UTC().Truncate(time.Millisecond)
		if y := v.Year(); y < 1 || y > 9999 {
			return nil, 0, fmt.Errorf("the year %d is not in 1 to 9999: %w", y, fault.Invalid)
		}
		return v, 8, nil
	case []byte:
		return append([]byte{}, v...), sizeOf(v), nil
	case []any:
		return normalList(v, level)
	case map[string]any:
		return normalInner(v, level)
	case Document:
		return normalInner(v, level)
	}
	return nil, 0, fmt.Errorf("a %T can't be kept: %w", v, fault.Invalid)
}

func normalList(list []any, level int) (any, int, error) {
	if level > MaxDepth {
		return nil, 0, errTooDeep()
	}
	kept, size := make([]any, len(list)), documentOverhead
	for i, v := range list {
		v, n, err := normal(v, level+1)
		if err != nil {
			return nil, 0, fmt.Errorf("value %d: %w", i, err)
		}
		kept[i] = v
		size += digits(i) + fieldOverhead + n
	}
	return kept, size, nil
}

func errTooDeep() error { return fmt.Errorf("more than %d levels: %w", MaxDepth, fault.Invalid) }

func normalInner(d Document, level int) (any, int, error) {
	if level > MaxDepth {
		return nil, 0, errTooDeep()
	}
	kept, size := make(Document, len(d)), documentOverhead
	for name, v := range d {
		if len(name) > 1024 || !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
			return nil, 0, fmt.Errorf("%.80q is no name: %w", name, fault.Invalid)
		}
		v, n, err := normal(v, level+1)
		if err != nil {
			return nil, 0, fmt.Errorf("%.80q: %w", name, err)
		}
		kept[name] = v
		size += len(name) + fieldOverhead + n
	}
	return kept, size, nil
}

func checkString(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("the string %.80q is not UTF-8: %w", s, fault.Invalid)
	}
	if strings.HasPrefix(s, "\U0010FFFF") {
		return fmt.Errorf("a string begins with U+10FFFF, which is no character: %w", fault.Invalid)
	}
	return nil
}

func checkID(v any) error {
	id, ok := v.(string)
	if !ok || id == "" || len(id) > MaxID || strings.ContainsRune(id, 0) {
		return fmt.Errorf("the id %.80q is not a string of 1 to %d bytes without U+0000: %w", fmt.Sprint(v), MaxID, fault.Invalid)
	}
	return checkString(id)
}

// CompareValues returns -1, 0 or 1: where a comes in relation to b in the one order of values, which MongoDB's is:
//
//	null · numbers · strings · bytes · bools · times
//
// Numbers compare by their value, whole or not, exactly. Strings compare byte by byte. Of bytes the shorter ones come first; those of
// one length compare byte by byte. False comes before true. Lists and documents have no place: they come where null does.
func CompareValues(a, b any) int {
	if c := cmp.Compare(kindOf(a), kindOf(b)); c != 0 {
		return c
	}
	switch a := a.(type) {
	case int64:
		if b, ok := b.(int64); ok {
			return cmp.Compare(a, b)
		}
		return compareMixed(a, b.(float64))
	case float64:
		if b, ok := b.(float64); ok {
			return cmp.Compare(a, b)
		}
		return -compareMixed(b.(int64), a)
	case string:
		return cmp.Compare(a, b.(string))
	case []byte:
		b := b.([]byte)
		return cmp.Or(cmp.Compare(len(a), len(b)), bytes.Compare(a, b))
	case bool:
		return cmp.Compare(truth(a), truth(b.(bool)))
	case time.Time:
		return a.Compare(b.(time.Time))
	}
	return 0
}

// kindOf is the place of a value's kind in the order.
func kindOf(v any) int {
	switch v.(type) {
	case int64, float64:
		return 1
	case string:
		return 2
	case []byte:
		return 3
	case bool:
		return 4
	case time.Time:
		return 5
	}
	return 0
}

// SameKind reports whether a and b are values that can be less or greater than one another.
func SameKind(a, b any) bool { return kindOf(a) != 0 && kindOf(a) == kindOf(b) }

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// compareMixed compares without losing a bit of either: a float64 has 53 of them.
func compareMixed(i int64, f float64) int {
	switch {
	case f >= 1<<63:
		return -1
	case f < -1<<63:
		return 1
	}
	whole := int64(f) // towards 0
	return cmp.Or(cmp.Compare(i, whole), cmp.Compare(0, f-float64(whole)))
}
