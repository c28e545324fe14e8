package gateway

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/onehost/edge/core/lambda"
)

const asJSON, asText = "application/json", "text/plain; charset=utf-8"

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

var answers = []struct {
	payload string
	want    Answer
}{
	// No statusCode: what was returned is the body.
	{`{"message":"hi"}`, Answer{200, header("Content-Type", asJSON), []byte(`{"message":"hi"}`)}},
	{` [1, 2]` + "\n", Answer{200, header("Content-Type", asJSON), []byte(`[1, 2]`)}},
	{`"Hello from \u003cLambda\u003e!"`, Answer{200, header("Content-Type", asJSON), []byte(`Hello from <Lambda>!`)}},
	{`17.5`, Answer{200, header("Content-Type", asJSON), []byte(`17.5`)}},
	{`null`, Answer{200, header("Content-Type", asJSON), []byte(`null`)}},
	{`{"StatusCode":404}`, Answer{200, header("Content-Type", asJSON), []byte(`{"StatusCode":404}`)}},
	{`{"body":"x","headers":{"Content-Type":"application/xml"}}`, Answer{200, header("Content-Type", asJSON), []byte(`{"body":"x","headers":{"Content-Type":"application/xml"}}`)}},
	// A statusCode: it is an answer.
	{`{"statusCode":204}`, Answer{204, header(), []byte{}}},
	{`{"statusCode":200,"body":"x"}`, Answer{200, header("Content-Type", asText), []byte("x")}},
	{`{"statusCode":200,"body":"\"\u00e9\" \ud83e\udd86"}`, Answer{200, header("Content-Type", asText), []byte(`"é" 🦆`)}},
	{"{\"statusCode\":200,\"body\":\"\xff\"}", Answer{200, header("Content-Type", asText), []byte("\ufffd")}},
	{`{"statusCode":"404","body":"no"}`, Answer{404, header("Content-Type", asText), []byte("no")}},
	{`{"statusCode":599,"headers":null,"multiValueHeaders":null,"body":null,"cookies":null,"isBase64Encoded":null}`, Answer{599, header(), []byte{}}},
	{`{"statusCode":200,"headers":{"content-type":"image/png"},"body":"AP/+","isBase64Encoded":true}`, Answer{200, header("Content-Type", "image/png"), []byte{0, 0xff, 0xfe}}},
	{`{"statusCode":302,"headers":{"Location":" /thanks ","X-Count":3,"X-Yes":true,"x-empty":""}}`, Answer{302, header("Location", "/thanks", "X-Count", "3", "X-Yes", "true", "X-Empty", ""), []byte{}}},
	{`{"statusCode":200,"headers":{"Set-Cookie":"a=1"},"cookies":["b=2; Path=/; HttpOnly","c=3"]}`, Answer{200, header("Set-Cookie", "a=1", "Set-Cookie", "b=2; Path=/; HttpOnly", "Set-Cookie", "c=3"), []byte{}}},
	{`{"statusCode":200,"headers":{"X-A":"1","x-a":"2"}}`, Answer{200, header("X-A", "2"), []byte{}}},
	{`{"statusCode":200,"multiValueHeaders":{"X-A":["1","2"],"Set-Cookie":["a=1"]}}`, Answer{200, header(), []byte{}}},
	{`{"statusCode":200,"headers":{"Connection":"close","transfer-encoding":"chunked","Keep-Alive":"1","Upgrade":"h2c","Trailer":"X","TE":"x","Content-Length":"1"},"body":"x"}`, Answer{200, header("Content-Type", asText), []byte("x")}},
	{`{"statusCode":200,"headers":{"Content-Length":1234}}`, Answer{200, header(), []byte{}}}, // of what a GET would get
}

func TestAnswersAreReadByAPIGatewaysRules(t *testing.T) {
	for _, c := range slices.Repeat(answers, 20) { // names of a map come in any order
		if got, err := ReadAnswer([]byte(c.payload)); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, %v\ninstead of %v", c.payload, got, err, c.want)
		}
	}
}

var noAnswers = map[string]string{
	``: "not JSON", ` `: "not JSON", `{`: "not JSON", `{"a":1}x`: "not JSON", `hello`: "not JSON", `"a`: "not JSON", `{"statusCode":200`: "not JSON", "\xff": "not JSON",
	`{"statusCode":0}`: "statusCode", `{"statusCode":199}`: "statusCode", `{"statusCode":600}`: "statusCode", `{"statusCode":200.5}`: "statusCode",
	`{"statusCode":null}`: "statusCode", `{"statusCode":"abc"}`: "statusCode", `{"statusCode":"+20"}`: "statusCode", `{"statusCode":"20"}`: "statusCode",
	`{"statusCode":[200]}`: "statusCode", `{"statusCode":2e2}`: "statusCode", `{"statusCode":99999999999999999999}`: "statusCode", `{"statusCode":101}`: "statusCode",
	`{"statusCode":200,"body":{"a":1}}`: "body", `{"statusCode":200,"body":1}`: "body",
	`{"statusCode":200,"body":"*","isBase64Encoded":true}`: "base64", `{"statusCode":200,"isBase64Encoded":"true"}`: "isBase64Encoded",
	`{"statusCode":200,"headers":[]}`: "headers", `{"statusCode":200,"headers":{"a":["b"]}}`: "headers", `{"statusCode":200,"headers":{"a":null}}`: "headers",
	`{"statusCode":200,"headers":{"a":"b\r\nSet-Cookie: x=1"}}`: "headers", `{"statusCode":200,"headers":{"a\r\nb":"c"}}`: "headers",
	`{"statusCode":200,"headers":{"a":"\u0000"}}`: "headers", `{"statusCode":200,"headers":{"":"a"}}`: "headers", `{"statusCode":200,"headers":{":status":"a"}}`: "headers",
	`{"statusCode":200,"headers":{"Trailer:X":"a"}}`: "headers", `{"statusCode":200,"headers":{"é":"a"}}`: "headers",
	`{"statusCode":200,"headers":{"Content-Length":"2"},"body":"x"}`: "Content-Length", `{"statusCode":200,"headers":{"Content-Length":"x"}}`: "Content-Length",
	`{"statusCode":200,"cookies":"a=1"}`: "cookies", `{"statusCode":200,"cookies":[1]}`: "cookies", `{"statusCode":200,"cookies":["a=1\nb"]}`: "cookies", `{"statusCode":200,"cookies":[null]}`: "cookies",
	`{"statusCode":200,"headers":{"a":"` + strings.Repeat("x", maxHeader) + `"}}`:            "headers and cookies",
	`{"statusCode":200,"cookies":["` + strings.Repeat("x", maxHeader) + `"]}`:                "headers and cookies",
	`"` + strings.Repeat("x", lambda.MaxEvent) + `"`:                                         "bytes",
	`{"statusCode":200,"x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`: "not JSON",
}

func TestWhatIsNoAnswerIsAnError(t *testing.T) {
	for payload, want := range noAnswers {
		if got, err := ReadAnswer([]byte(payload)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, %v instead of %q", payload, got, err, want)
		}
	}
}

func TestSomeAnswersHaveNoBody(t *testing.T) {
	for _, status := range []int{204, 205, 304} {
		w := httptest.NewRecorder()
		Answer{Status: status, Header: header("Etag", `"x"`), Body: []byte("x")}.Write(w)
		if w.Code != status || w.Body.Len() > 0 || w.Header().Get("Content-Length") != "" || w.Header().Get("Etag") == "" {
			t.Errorf("%d: %v %q", w.Code, w.Header(), w.Body)
		}
	}
}

// FuzzReadAnswer: nothing panics, and what is taken is written as HTTP that reads as it was meant.
func FuzzReadAnswer(f *testing.F) {
	for _, c := range answers {
		f.Add([]byte(c.payload))
	}
	for payload := range noAnswers {
		if len(payload) < 1000 {
			f.Add([]byte(payload))
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		a, err := ReadAnswer(payload)
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		a.Write(w)
		var wire bytes.Buffer
		sent := w.Result()
		if sent.ContentLength < 0 {
			sent.ContentLength = int64(w.Body.Len())
		}
		if err := sent.Write(&wire); err != nil {
			t.Fatalf("%q: %v", payload, err)
		}
		got, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(wire.Bytes())), nil)
		if err != nil {
			t.Fatalf("%q became %q: %v", payload, wire.Bytes(), err)
		}
		body, err := io.ReadAll(got.Body)
		if err != nil || got.StatusCode != a.Status {
			t.Fatalf("%q became %q: %v", payload, wire.Bytes(), err)
		}
		if want := w.Body.Bytes(); !bytes.Equal(body, want) || len(body) > 0 && !bytes.Equal(body, a.Body) {
			t.Errorf("%q has the body %q", payload, body)
		}
		delete(got.Header, "Content-Length")
		if !maps.EqualFunc(got.Header, a.Header, func(x, y []string) bool { return reflect.DeepEqual(x, y) }) {
			t.Errorf("%q has the fields %v, not %v", payload, got.Header, a.Header)
		}
	})
}

func BenchmarkReadAnswer(b *testing.B) {
	payload := []byte(`{"statusCode":200,"headers":{"Content-Type":"text/html"},"body":"` + strings.Repeat("x", 4<<20) + `"}`)
	encoded := bytes.Replace(payload, []byte(`"statusCode"`), []byte(`"isBase64Encoded":true,"statusCode"`), 1)
	for name, p := range map[string][]byte{"small": []byte(answers[13].payload), "4MB": payload, "4MB base64": encoded} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ReadAnswer(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
