package store

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/fault"
)

func moment(year int, month time.Month, nanoseconds int) time.Time {
	return time.Date(year, month, 1, 0, 0, 0, nanoseconds, time.UTC)
}

func TestValuesHaveOneOrder(t *testing.T) {
	order := [][]any{ // what is in one line is equal
		{nil, []any{}, []any{int64(1)}, Document{}, Document{"a": int64(1)}},
		{-math.MaxFloat64}, {-0x1p63 - 0x1p11}, {int64(math.MinInt64), -0x1p63}, {int64(math.MinInt64 + 1)}, {int64(-1), -1.0}, {-0.5}, {int64(0), 0.0, math.Copysign(0, -1)}, {math.SmallestNonzeroFloat64}, {0.5}, {int64(1), 1.0}, {1.5},
		{int64(1 << 53), 0x1p53}, {int64(1<<53 + 1)}, {int64(1<<53 + 2), 0x1p53 + 2}, {int64(math.MaxInt64 - 1)}, {int64(math.MaxInt64)}, {0x1p63}, {math.MaxFloat64},
		{""}, {"\x00"}, {"1"}, {"A"}, {"a"}, {"a\x00"}, {"aa"}, {"z"}, {"é"}, {"\uffff"}, {"\U00010000"},
		{[]byte{}, []byte(nil)}, {[]byte{0}}, {[]byte{255}}, {[]byte{0, 0}}, {[]byte{0, 1}}, {[]byte{0, 0, 0}},
		{false}, {true},
		{moment(1, 1, 0)}, {moment(1969, 12, 0)}, {moment(1970, 1, 0), moment(1970, 1, 0).In(time.FixedZone("", 3600))}, {moment(1970, 1, 1e6)}, {moment(9999, 12, 0)},
	}
	for i, as := range order {
		for j, bs := range order {
			for _, a := range as {
				for _, b := range bs {
					want := min(1, max(-1, i-j))
					if got := CompareValues(a, b); got != want {
						t.Errorf("%v (%T) to %v (%T) is %d, want %d", a, a, b, b, got, want)
					}
				}
			}
		}
	}
}

func TestOnlyValuesOfOneKindAreLessOrGreater(t *testing.T) {
	kinds := [][]any{{int64(1), 1.5}, {"", "a"}, {[]byte{}, []byte{1}}, {false, true}, {moment(1, 1, 0), moment(2, 1, 0)}}
	for i, as := range kinds {
		for j, bs := range kinds {
			for _, a := range as {
				for _, b := range bs {
					if SameKind(a, b) != (i == j) {
						t.Errorf("%v and %v are of one kind: %v", a, b, SameKind(a, b))
					}
				}
			}
		}
		for _, none := range []any{nil, []any{}, Document{}} {
			if SameKind(as[0], none) || SameKind(none, as[0]) || SameKind(none, none) {
				t.Errorf("%v and %v can be less than one another", as[0], none)
			}
		}
	}
}

func TestNormalKeepsAndCountsWhatBSONWould(t *testing.T) {
	at := time.Date(2024, 1, 1, 1, 0, 0, 1_999_999, time.FixedZone("", 3600))
	d, size, err := Normal(Document{"id": "x", "i": 1, "z": math.Copysign(0, -1), "t": at, "n": nil, "m": map[string]any{"a": nil}, "l": []any{true, []byte(nil)}})
	if err != nil {
		t.Fatal(err)
	}
	// id: 4+6, i: 3+8, z: 3+8, t: 3+8, m: 3+(5+3), l: 3+(5+(3+1)+(3+5)); 5 around all
	if want := 5 + 10 + 11 + 11 + 11 + 11 + 20; size != want || Size(d) != want {
		t.Errorf("the size is %d or %d, want %d", size, Size(d), want)
	}
	if z := d["z"].(float64); math.Signbit(z) {
		t.Error("-0 has stayed -0")
	}
	if got := d.Time("t"); !got.Equal(time.Date(2024, 1, 1, 0, 0, 0, 1e6, time.UTC)) || got.Location() != time.UTC {
		t.Errorf("the time is %v", got)
	}
	if _, there := d["n"]; there || d.Int("i") != 1 || d.Document("m") == nil || d.List("l")[1].([]byte) == nil {
		t.Errorf("the document is %#v", d)
	}
}

func TestALevelMoreThanThereMayBeIsRefused(t *testing.T) {
	nest := func(levels int, v any, list bool) any {
		for range levels {
			if list {
				v = []any{v}
			} else {
				v = Document{"a": v}
			}
		}
		return v
	}
	for _, list := range []bool{true, false} {
		for _, inmost := range []any{int64(1), []any{}, Document{}} {
			levels := MaxDepth - 1
			if isNested(inmost) {
				levels--
			}
			if _, _, err := Normal(Document{"id": "1", "v": nest(levels, inmost, list)}); err != nil {
				t.Errorf("%d levels: %v", MaxDepth, err)
			}
			if _, _, err := Normal(Document{"id": "1", "v": nest(levels+1, inmost, list)}); !errors.Is(err, fault.Invalid) {
				t.Errorf("%d levels: %v", MaxDepth+1, err)
			}
			if err := (Change{Set: Document{"v": nest(levels, inmost, list)}}).Check(); err != nil {
				t.Errorf("a change to %d levels: %v", MaxDepth, err)
			}
			if err := (Change{Set: Document{"v": nest(levels+1, inmost, list)}}).Check(); !errors.Is(err, fault.Invalid) {
				t.Errorf("a change to %d levels: %v", MaxDepth+1, err)
			}
		}
	}
}

func TestADocumentIsKeptToItsLastByte(t *testing.T) {
	d := Document{"id": "1", "v": ""}
	room := MaxDocument - Size(d)
	d["v"] = strings.Repeat("x", room)
	if _, size, err := Normal(d); err != nil || size != MaxDocument {
		t.Errorf("%d bytes: %v", size, err)
	}
	d["v"] = strings.Repeat("x", room+1)
	if _, _, err := Normal(d); !errors.Is(err, fault.TooLarge) {
		t.Errorf("a byte more: %v", err)
	}
}
