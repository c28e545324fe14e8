package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/fault"
)

func sent(media, body string) (map[string]any, error) {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("Content-Type", media)
	return Body(httptest.NewRecorder(), r, 0)
}

func TestABodyIsAnObjectOfJSON(t *testing.T) {
	const object = `{"a":"b"}`
	want := map[string]any{"a": "b"}
	for media, body := range map[string]map[string]any{
		"application/json": want, "application/json; charset=utf-8": want, "APPLICATION/JSON": want, "application/vnd.api+json": want,
		"text/plain": nil, "": nil, "application/x-www-form-urlencoded": nil, "multipart/form-data; boundary=XX": nil, "application/": nil,
	} {
		if got, err := sent(media, object); err != nil || !reflect.DeepEqual(got, body) {
			t.Errorf("%s: %v, %v", media, got, err)
		}
	}
	for text, message := range map[string]string{
		"": "", "[1]": "", " ": "Unexpected end of JSON input", "1": "invalid JSON, only supports object and array", `"a"`: "invalid JSON, only supports object and array",
	} {
		if got, err := sent("application/json", text); got != nil || (err == nil) != (message == "") || err != nil && err.Error() != message {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestABodyIsNotLongerThanItsLimit(t *testing.T) {
	long := `{"a":"` + strings.Repeat("x", MaxBody-8) + `"}`
	if _, err := sent("application/json", long); err != nil {
		t.Errorf("%d bytes: %v", len(long), err)
	}
	for media, body := range map[string]io.Reader{
		"application/json":                  strings.NewReader(long + " "),
		"application/json; chunked=yes":     io.MultiReader(strings.NewReader(long), strings.NewReader(" ")), // of a length that is not said before
		"application/x-www-form-urlencoded": strings.NewReader(strings.Repeat("x", 100_012)),
	} {
		r := httptest.NewRequest("POST", "/", body)
		r.Header.Set("Content-Type", media)
		_, err := Body(httptest.NewRecorder(), r, 0)
		if p, ok := errors.AsType[*problem.Error](err); !ok || p.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %v", media, err)
		}
	}
}

func TestDataIsAnObject(t *testing.T) {
	for body, want := range map[string]string{
		`{"title":"x"}`:                `Missing "data" payload in the request body`,
		`{"data":"x"}`:                 `Missing "data" payload in the request body`,
		`{"data":null}`:                `Missing "data" payload in the request body`,
		`{"data":[{"title":"arr x"}]}`: "this must be a `object` type, but the final value was: `null` (cast from the value `[\n  {\n    \"title\": \"\\\"arr x\\\"\"\n  }\n]`).",
		`{"data":{"a":1}}`:             "",
	} {
		parsed, err := sent("application/json", body)
		if err != nil {
			t.Fatal(err)
		}
		data, err := Data(parsed)
		if want == "" && (err != nil || len(data) != 1) || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: %v, %v", body, data, err)
		}
	}
	if _, err := Data(nil); err == nil {
		t.Error("no body has data")
	}
	parsed, _ := sent("application/json", `{"data":[`+strings.Repeat("1,", 1<<18)+`1]}`)
	if _, err := Data(parsed); err == nil || len(err.Error()) > 10_000 {
		t.Errorf("a long list is told in %d bytes", len(err.Error()))
	}
}

func TestErrorsAreToldAsStrapiDoes(t *testing.T) {
	for want, err := range map[string]error{
		`400 {"data":null,"error":{"status":400,"name":"ValidationError","message":"Invalid <key>","details":{}}}`:                               problem.Validation("Invalid <key>"),
		`413 {"data":null,"error":{"status":413,"name":"PayloadTooLargeError","message":"request entity too large"}}`:                            fmt.Errorf("upload: %w", problem.TooLarge()),
		`429 {"data":null,"error":{"status":429,"name":"RateLimitError","message":"Too many requests, please try again later.","details":{}}} 2`: problem.TooMany(1001 * time.Millisecond),
		`404 {"data":null,"error":{"status":404,"name":"NotFoundError","message":"Not Found","details":{}}}`:                                     fault.NotFound,
		`409 {"data":null,"error":{"status":409,"name":"ConflictError","message":"Conflict"}}`:                                                   fmt.Errorf("two at once: %w", fault.Conflict),
		`503 {"data":null,"error":{"status":503,"name":"ServiceUnavailableError","message":"Service Unavailable"}} 5 logged WARN`:                fmt.Errorf("disk: %w", fault.Unavailable),
		`503 {"data":null,"error":{"status":503,"name":"ServiceUnavailableError","message":"Service Unavailable"}} 5 logged WARN `:               context.DeadlineExceeded,
		`500 {"data":null,"error":{"status":500,"name":"InternalServerError","message":"Internal Server Error"}} logged ERROR`:                   errors.New("what nobody must see"),
	} {
		var log strings.Builder
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-Request-Id", "r1")
		Error(w, r, slog.New(slog.NewTextHandler(&log, nil)), err)
		got := fmt.Sprintf("%d %s", w.Code, w.Body)
		if after := w.Header().Get("Retry-After"); after != "" {
			got += " " + after
		}
		for _, level := range []string{"WARN", "ERROR"} {
			if strings.Contains(log.String(), "level="+level) && strings.Contains(log.String(), "request_id=r1") && strings.Count(log.String(), "\n") == 1 {
				got += " logged " + level
			}
		}
		if got != strings.TrimSpace(want) || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%v:\n got %s\nwant %s", err, got, want)
		}
	}
}

func TestNobodyIsToldOfAClientWhoLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var log strings.Builder
	Error(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil).WithContext(ctx), slog.New(slog.NewTextHandler(&log, nil)), fmt.Errorf("find: %w", ctx.Err()))
	if log.Len() > 0 {
		t.Errorf("logged: %s", &log)
	}
}

func TestNoRoomIsMadeForABodyThatDoesNotCome(t *testing.T) {
	made := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{"))
			r.Header.Set("Content-Type", "application/json")
			r.ContentLength = MaxBody
			_, _ = Body(httptest.NewRecorder(), r, 0)
		}
	}).AllocedBytesPerOp()
	if made > MaxBody/4 {
		t.Errorf("%d bytes are allocated for 1 byte", made)
	}
}
