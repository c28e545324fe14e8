package lambda

import (
	"testing"
	"unicode/utf8"
)

func FuzzFunctionError(f *testing.F) {
	for _, seed := range []string{`{"errorMessage":"no","errorType":"Error","stackTrace":["at a"]}`, `null`, `"x"`, `{"errorMessage":1}`, "\xff", `{"errorMessage":"x Task timed out after 3.00 seconds"}`} {
		f.Add([]byte(seed))
	}
	fn := &function{name: "f"}
	f.Fuzz(func(t *testing.T, payload []byte) {
		e := fn.functionError(payload, "id")
		if e.Kind != Failed && e.Kind != TimedOut && e.Kind != Broken || len(e.Type) > traceSize+3 || len(e.Message) > traceSize+3 || len(e.Trace) > traceSize+3 {
			t.Errorf("%q is %+v", payload, e)
		}
		if utf8.Valid(payload) && !utf8.ValidString(e.Message) {
			t.Errorf("%q is cut in the middle of a character", payload)
		}
	})
}
