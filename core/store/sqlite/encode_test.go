package sqlite

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
)

// anyValue makes a normal value that is no list or document, often one that is near to others.
func anyValue(r *rand.Rand) any {
	switch r.IntN(10) {
	case 0:
		return nil
	case 1:
		return int64(r.Uint64()) >> r.IntN(64)
	case 2:
		return int64(1)<<53 + r.Int64N(5) - 2
	case 3, 4:
		f := math.Float64frombits(r.Uint64())
		if math.IsNaN(f) || math.IsInf(f, 0) {
			f = float64(r.Int64N(1<<54)) / 2
		}
		return f + 0
	case 5:
		return float64(int64(1)<<53 + r.Int64N(5) - 2)
	case 6:
		return []string{"", "\x00", "a", "a\x00", "a\x00b", "ab", "[", "{", "\u007f", "é", "\uffff", "\U00010000", "\U0010FFFE", "a\U0010FFFF"}[r.IntN(14)]
	case 7:
		b := make([]byte, []int{0, 1, 2, 3, 15, 16}[r.IntN(6)])
		for i := range b {
			b[i] = byte(r.IntN(4) * 85)
		}
		return b
	case 8:
		return r.IntN(2) == 1
	}
	return time.UnixMilli(r.Int64N(3e14) - 6e13).UTC()
}

func TestWhatJSONExtractReturnsIsInTheOrderOfValues(t *testing.T) {
	c := open(t, t.TempDir()+"/store.db").writer
	r := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	ctx := t.Context()
	for range 10_000 {
		a, b := anyValue(r), anyValue(r)
		sql := "SELECT (x IS y)*10 + coalesce(x>y, (x IS NOT NULL)-(y IS NOT NULL)) + 5*coalesce(x<y,0), x IS ?3 AND y IS ?4 FROM (SELECT json_extract(?1,'$.\"v\"') AS x, json_extract(?2,'$.\"v\"') AS y)"
		want := map[int]int64{-1: 5, 0: 10, 1: 1}[store.CompareValues(a, b)]
		if a == nil && b != nil {
			want = -1
		}
		args := []any{encode(store.Document{"id": "1", "v": a}), encode(store.Document{"id": "1", "v": b}), operand(a), operand(b)}
		err := c.rows(ctx, sql, args, func(row row) error {
			if got := row.int(0); got != want || row.int(1) != 1 {
				t.Errorf("%s and %s are %d, want %d; as operands %d", storetest.Describe(a), storetest.Describe(b), got, want, row.int(1))
			}
			return nil
		})
		if err != nil || t.Failed() {
			t.Fatal(err)
		}
	}
}

func TestADocumentIsJSONThatAPersonCanRead(t *testing.T) {
	d := store.Document{
		"id": "1", "b": true, "a": int64(1), "f": 1.0, "s": "a\"\n\x01é", "t": time.UnixMilli(0).UTC(), "y": []byte{1, 2}, "l": []any{nil, store.Document{"z": 1e300, "": "x"}},
	}
	const want = `{"a":1,"b":"` + mark + `y1","f":1.0,"l":[null,{"":"x","z":1e+300}],"s":"a\"\n\u0001é","t":"` + mark + `z1970-01-01T00:00:00.000Z","y":"` + mark + `x00000002-F7"}`
	if got := string(encode(d)); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestADamagedDocumentIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "null", "[]", "{", "{}x", `{"a":1,}`, `{"a":1,"a":1}`, `{"a":01}`, `{"a":.5}`, `{"a":1.}`, `{"a":1e}`, `{"a":-}`, `{"a":1e999}`, `{"a":9223372036854775808}`, `{"a":true}`,
		`{"id":"2"}`, "{\"a\":\"\x01\"}", "{\"a\":\"\xff\"}", `{"a":"\ud800"}`, `{"a":"\ud800\u0041"}`, `{"a":"\x"}`, `{"a":"`, `{"a":"\u12"}`, `{a:1}`, "{\"a\xff\":1}",
		`{"a":"` + mark + `"}`, `{"a":"` + mark + `w"}`, `{"a":"` + mark + `y2"}`, `{"a":"` + mark + `z1970-01-01T00:00:00Z"}`, `{"a":"` + mark + `z1970-13-01T00:00:00.000Z"}`, `{"a":"` + mark + `z0000-01-01T00:00:00.000Z"}`,
		`{"a":"` + mark + `z1970-02-30T00:00:00.000Z"}`, `{"a":"` + mark + `z1970-00-01T00:00:00.000Z"}`, `{"a":"` + mark + `z1970-01-01T24:00:00.000Z"}`, `{"a":"` + mark + `z1970-01-01T00:00:60.000Z"}`,
		"{\"a\":\"1234567\x018\"}", "{\"a\":\"1234567890\xff12345678\"}",
		`{"a":"` + mark + `x00000001"}`, `{"a":"` + mark + `x00000002-F8"}`, `{"a":"` + mark + `x0000000A"}`, `{"a":"` + mark + `x00000002-\nF7"}`,
		`{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "}",
	} {
		if d, err := decode("1", text); err == nil {
			t.Errorf("%q is %s", text, storetest.Describe(d))
		}
	}
	for text, want := range map[string]store.Document{
		` { "b" : [ ] , "a" : "\u00e9\ud83d\ude00\/" , "n" : null } `: {"id": "1", "b": []any{}, "a": "é😀/"},
		`{"a":-0.0,"b":-0,"c":1E2}`:                                   {"id": "1", "a": 0.0, "b": int64(0), "c": 100.0},
	} {
		if d, err := decode("1", text); err != nil || !storetest.Same(d, want) {
			t.Errorf("%q is %s, %v", text, storetest.Describe(d), err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"a":1,"b":[1.5,null,"x\u0001",{"c":{}}]}`)
	f.Add(`{"a":"` + mark + `y1","b":"` + mark + `z1970-01-01T00:00:00.000Z","c":"` + mark + `x00000002-F7"}`)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := decode("1", text)
		if err != nil {
			return
		}
		// What is decoded is a document, but for names that no path can reach and for its size.
		normal, _, err := store.Normal(store.Document{"id": "1", "v": []any{d}})
		if err != nil && !strings.Contains(err.Error(), "is no name") && !strings.Contains(err.Error(), "levels") {
			t.Fatalf("%q is %s: %v", text, storetest.Describe(d), err)
		}
		if err == nil && !storetest.Same(normal["v"].([]any)[0], d) {
			t.Fatalf("%q is %s, and normally another", text, storetest.Describe(d))
		}
		once := encode(d)
		again, err := decode("1", string(once))
		if err != nil || !storetest.Same(again, d) || !bytes.Equal(encode(again), once) {
			t.Fatalf("%q becomes %q, which is %s: %v", text, once, storetest.Describe(again), err)
		}
	})
}
