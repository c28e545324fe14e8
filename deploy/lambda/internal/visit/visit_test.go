package visit

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
)

func post(kind, body string, inBase64 bool) []byte {
	if inBase64 {
		body = base64.StdEncoding.EncodeToString([]byte(body))
	}
	raw, _ := json.Marshal(map[string]any{
		"version": "2.0", "rawPath": "/forms/a", "headers": map[string]string{"Content-Type": kind}, "body": body, "isBase64Encoded": inBase64,
		"requestContext": map[string]any{"requestId": "r1", "http": map[string]string{"method": "POST", "sourceIp": "192.0.2.1"}},
	})
	return raw
}

const multipartBody = "--b\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\na@example.org\r\n--b\r\nContent-Disposition: form-data; name=\"cv\"; filename=\"cv.pdf\"\r\nContent-Type: application/pdf\r\n\r\n12345\r\n--b--\r\n"

func TestFormsAreReadInEveryWayInWhichTheyAreSent(t *testing.T) {
	for _, test := range []struct {
		event []byte
		want  string
	}{
		{post("application/x-www-form-urlencoded", "email=a%40example.org&x=1+2&x=%ff", true), "[{email a@example.org} {x 1 2} {x \uFFFD}] []"},
		{post("application/x-www-form-urlencoded; charset=utf-8", "email=a%40example.org", false), "[{email a@example.org}] []"},
		{post("multipart/form-data; boundary=b", multipartBody, true), "[{email a@example.org}] [{cv cv.pdf 5}]"},
		{post("application/json", `{"email":"a@example.org","n":1.50,"on":true,"no":null,"all":["x",2]}`, false), "[{email a@example.org} {n 1.50} {on true} {all x} {all 2}] []"},
		{post("", "", false), "[] []"},
	} {
		v, err := Read(test.event)
		if err != nil {
			t.Errorf("%s: %v", test.event, err)
		} else if got := fmt.Sprint(v.Fields, v.Files); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

func TestWhatCanNotBeReadIsRefused(t *testing.T) {
	for _, test := range []struct {
		event []byte
		want  int
	}{
		{post("text/plain", "a", false), http.StatusUnsupportedMediaType},
		{post("application/x-www-form-urlencoded", "a=%zz", false), http.StatusBadRequest},
		{post("application/x-www-form-urlencoded", strings.Repeat("a&", maxFields+1), false), http.StatusRequestEntityTooLarge},
		{post("application/x-www-form-urlencoded", "a="+strings.Repeat("a", maxText), false), http.StatusRequestEntityTooLarge},
		{post("application/json", `[1]`, false), http.StatusBadRequest},
		{post("application/json", `{"a":{"b":1}}`, false), http.StatusBadRequest},
		{post("application/json", `{"a":[[1]]}`, false), http.StatusBadRequest},
		{post("application/json", `{"a":1} {}`, false), http.StatusBadRequest},
		{post("multipart/form-data", multipartBody, false), http.StatusBadRequest},
		{post("multipart/form-data; boundary=c", multipartBody, false), http.StatusBadRequest},
	} {
		_, err := Read(test.event)
		if fault, ok := errors.AsType[*Fault](err); !ok || fault.Status != test.want {
			t.Errorf("%.200s: %v, want %d", test.event, err, test.want)
		}
	}
	for _, event := range []string{"", "null", "{}", `{"version":"1.0","httpMethod":"POST"}`} {
		if _, err := Read([]byte(event)); err == nil {
			t.Errorf("%s is read", event)
		} else if _, ok := errors.AsType[*Fault](err); ok {
			t.Errorf("%s is a visitor's fault: %v", event, err)
		}
	}
}

func TestASubmissionIsNamedByEdgeOrByItsRequest(t *testing.T) {
	event := post("", "", false)
	if v, err := Read(event); err != nil || v.Submission != "r1" {
		t.Error(v, err)
	}
	if v, err := Read([]byte(strings.Replace(string(event), `"headers":{`, `"headers":{"x-edge-submission":"s1",`, 1))); err != nil || v.Submission != "s1" {
		t.Error(v, err)
	}
	first, _ := Read([]byte(strings.Replace(string(event), "r1", "", 1)))
	second, _ := Read([]byte(strings.Replace(string(event), "r1", "", 1)))
	if first.Submission == second.Submission {
		t.Error("two requests without a name are taken for one")
	}
}

func TestPagesEscapeAndProgramsGetJSON(t *testing.T) {
	v := &Visit{header: map[string]string{}}
	answer, err := v.answer(Page{Status: 200, Title: "<b>", Text: "<script>", Button: "<i>", Name: "a", Value: `"`})
	if err != nil || strings.Contains(answer.Body, "<b>") || strings.Contains(answer.Body, "<script>") || strings.Contains(answer.Body, "<i>") {
		t.Error(answer.Body, err)
	}
	v.header["accept"] = "application/json"
	if answer, err = v.answer(Page{Status: 200, Text: "yes"}); err != nil || answer.Body != `{"message":"yes"}` {
		t.Error(answer.Body, err)
	}
}

func FuzzEventsAreReadWithinTheirLimitsOrRefused(f *testing.F) {
	f.Add(post("application/x-www-form-urlencoded", "email=a%40example.org&x=1", true))
	f.Add(post("multipart/form-data; boundary=b", multipartBody, true))
	f.Add(post("application/json", `{"email":"a@example.org","all":["x",2]}`, false))
	f.Fuzz(func(t *testing.T, event []byte) {
		v, err := Read(event)
		if err != nil {
			return
		}
		if v.Submission == "" || len(v.Fields) > maxFields || v.Method == "" {
			t.Errorf("%+v", v)
		}
		if _, err := v.answer(Page{Status: 200, Title: v.Value("email")}); err != nil {
			t.Error(err)
		}
	})
}

func TestWhatFailsIsTheVisitorsFaultOrTriedAgain(t *testing.T) {
	const request = `{"rawPath":"/f","requestContext":{"http":{"method":"POST"}},"headers":{"content-type":"text/csv"},"body":`
	for name, test := range map[string]struct {
		event string
		err   error
		want  int // 0 for an error
	}{
		"fine":                 {request + `""}`, nil, 200},
		"a fault of the page":  {request + `""}`, &Fault{http.StatusMethodNotAllowed, "Send the form."}, 405},
		"a fault of the event": {request + `"x"}`, errors.New("not asked"), 415},
		"another error":        {request + `""}`, errors.New("no database"), 503},
		"no base64":            {request + `"%","isBase64Encoded":true}`, nil, 0},
		"no request":           {`{}`, nil, 0},
	} {
		answer, err := Serve(t.Context(), []byte(test.event), slog.New(slog.DiscardHandler), func(context.Context, *Visit) (Page, error) { return Page{Status: 200}, test.err })
		got, _ := answer.(events.APIGatewayV2HTTPResponse)
		if got.StatusCode != test.want || (err != nil) != (test.want == 0) || (got.Headers["retry-after"] == "60") != (test.want == 503) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
