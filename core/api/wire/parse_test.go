package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/onehost/edge/core/api/problem"
)

// testdata/v8.jsonl is what JSON.parse of Node 20 says of each text.
func TestWhatIsWrongWithJSONIsToldAsV8Does(t *testing.T) {
	file, err := os.ReadFile("testdata/v8.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range bytes.Lines(file) {
		var said [2]string
		if err := json.Unmarshal(line, &said); err != nil {
			t.Fatal(err)
		}
		n++
		if _, err := Parse([]byte(said[0])); err == nil || err.Error() != said[1] {
			t.Errorf("%q:\n got %v\nwant %s", said[0], err, said[1])
		} else if p := err.(*problem.Error); p.Status != 400 || p.Name != "SyntaxError" || p.Details != nil {
			t.Errorf("%q is %+v", said[0], p)
		}
	}
	if n < 80 {
		t.Errorf("%d cases", n)
	}
}

func TestJSONIsReadAsJavaScriptDoes(t *testing.T) {
	for text, want := range map[string]any{
		"\ufeff{\"a\":1}":                                 map[string]any{"a": json.Number("1")},
		`{"a":1,"a":2}`:                                   map[string]any{"a": json.Number("2")},
		` [ true , false , null ] `:                       []any{true, false, nil},
		`"\u00e9\"\\\/\b\f\n\r\t"`:                        "é\"\\/\b\f\n\r\t",
		`"\ud83d\ude00 \ud83d \ude00 \ud83dx"`:            "😀 \ufffd \ufffd \ufffdx",
		`"\ud83d\ud83d\ude00"`:                            "\ufffd😀",
		"\"a\xffb\"":                                      "a\ufffdb",
		`[9007199254740993,-0,1.50e+3]`:                   []any{json.Number("9007199254740993"), json.Number("-0"), json.Number("1.50e+3")},
		strings.Repeat("[", 64) + strings.Repeat("]", 64): nested(64),
	} {
		if got, err := Parse([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %#v, %v", text, got, err)
		}
	}
	if _, err := Parse([]byte(strings.Repeat("[", 1<<20))); err == nil || !strings.HasPrefix(err.Error(), "More than 64 levels in JSON at position 64") {
		t.Errorf("too many levels: %v", err)
	}
}

func nested(levels int) any {
	inner := []any{}
	for range levels - 1 {
		inner = []any{inner}
	}
	return inner
}

// FuzzParse compares with encoding/json, which takes the same language.
func FuzzParse(f *testing.F) {
	file, err := os.Open("testdata/v8.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		f.Add(lines.Bytes())
	}
	for _, text := range []string{`{"a":[1,-2.5e-3,"x\u00e9\ud83d\ude00\n"],"a":{}}`, `"\ud800"`, `[{"b":null},true]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := Parse(text)
		if strings.HasPrefix(string(text), "\ufeff") || !utf8.Valid(text) || err != nil && strings.HasPrefix(err.Error(), "More than") {
			return
		}
		var want any
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		wrong := d.Decode(&want)
		if wrong == nil && d.More() || !json.Valid(text) {
			if err == nil {
				t.Fatalf("%q is taken as %#v", text, got)
			}
			return
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %#v, %v; want %#v", text, got, err, want)
		}
	})
}
