package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	awslambda "github.com/aws/aws-lambda-go/lambda"
	"go.uber.org/goleak"

	"github.com/onehost/edge/core/lambda"
	"github.com/onehost/edge/core/lambda/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// invoker is a function of this process.
type invoker func(ctx context.Context, event []byte) (lambda.Result, error)

func (f invoker) Invoke(ctx context.Context, function string, event []byte) (lambda.Result, error) {
	if function != "hook" {
		return lambda.Result{}, errors.New("another function")
	}
	return f(ctx, event)
}

// handled is a handler that is written with AWS's own library, as it runs in AWS.
func handled(handler any) invoker {
	h := awslambda.NewHandler(handler)
	return func(ctx context.Context, event []byte) (lambda.Result, error) {
		payload, err := h.Invoke(ctx, event)
		return lambda.Result{Payload: payload, RequestID: "lambda-1"}, err
	}
}

func returning(payload string) invoker {
	return func(context.Context, []byte) (lambda.Result, error) {
		return lambda.Result{Payload: []byte(payload), RequestID: "lambda-1"}, nil
	}
}

func failing(err error) invoker {
	return func(context.Context, []byte) (lambda.Result, error) { return lambda.Result{}, err }
}

// logged keeps what is logged.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve serves a function under a pattern of net/http's.
func serve(t *testing.T, pattern string, f invoker) (url string, log *logged) {
	t.Helper()
	log = &logged{}
	mux := http.NewServeMux()
	mux.Handle(pattern, gateway.NewHandler(f, "hook", slog.New(slog.NewJSONHandler(log, nil))))
	s := httptest.NewServer(mux)
	t.Cleanup(func() { s.Close(); http.DefaultClient.CloseIdleConnections() })
	return s.URL, log
}

func ask(t *testing.T, method, url, body string, fields ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Request-Id", "request-1")
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func TestAFunctionOfAWSsLibraryAnswers(t *testing.T) {
	url, log := serve(t, "POST /hook/{id}", handled(func(_ context.Context, e events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		text := fmt.Sprint(e.RouteKey, " ", e.PathParameters["id"], " ", e.QueryStringParameters["q"], " ", e.Cookies, " ", e.Body, " ", e.RequestContext.HTTP.SourceIP, " ", e.RequestContext.RequestID)
		return events.APIGatewayV2HTTPResponse{StatusCode: 201, Headers: map[string]string{"X-Was": "here"}, Cookies: []string{"a=1; Secure", "b=2"}, Body: text}, nil
	}))
	resp, body := ask(t, "POST", url+"/hook/a%20b?q=1&q=2", "hello", "Content-Type", "text/plain", "Cookie", "s=1; t=2")
	if want := "POST /hook/{id} a b 1,2 [s=1 t=2] hello 127.0.0.1 request-1"; resp.StatusCode != 201 || body != want {
		t.Errorf("%d %q instead of %q", resp.StatusCode, body, want)
	}
	if resp.Header.Get("X-Was") != "here" || len(resp.Header["Set-Cookie"]) != 2 || resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Error(resp.Header)
	}
	if log.String() != "" {
		t.Error(log)
	}
}

func TestAFunctionThatForgetsItsStatusIsNoAnswer(t *testing.T) {
	url, _ := serve(t, "/", handled(func(context.Context) (events.APIGatewayV2HTTPResponse, error) {
		return events.APIGatewayV2HTTPResponse{Body: "x"}, nil
	}))
	if resp, _ := ask(t, "GET", url, ""); resp.StatusCode != 502 {
		t.Error(resp.Status)
	}
}

func TestHEADGetsNoBodyAndItsLength(t *testing.T) {
	for payload, length := range map[string]int64{
		`{"statusCode":200,"body":"` + strings.Repeat("x", 5000) + `"}`:   5000,
		`{"statusCode":200,"headers":{"Content-Length":"7"},"body":null}`: -1,
		`{"statusCode":204,"body":"x"}`:                                   -1,
	} {
		url, _ := serve(t, "/", returning(payload))
		if resp, body := ask(t, "HEAD", url, ""); body != "" || resp.ContentLength != length {
			t.Errorf("%.60s: %d, %q", payload, resp.ContentLength, body)
		}
		if _, body := ask(t, "GET", url, ""); len(body) != max(0, int(length)) {
			t.Errorf("%.60s: %q", payload, body)
		}
	}
}

func TestErrorsSayWhatTheVisitorCanDoAndNothingElse(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		retry  string
	}{
		{&lambda.Error{Kind: "failed", Message: "internal", RequestID: "lambda-1"}, 502, ""},
		{&lambda.Error{Kind: "throttled", Message: "internal", RetryAfter: 1500 * time.Millisecond}, 429, "2"},
		{&lambda.Error{Kind: "unavailable", Message: "internal"}, 503, "1"},
		{&lambda.Error{Kind: "timed_out", Message: "internal"}, 504, ""},
		{&lambda.Error{Kind: "too_large", Message: "internal"}, 413, ""},
		{fmt.Errorf("wrapped: %w", &lambda.Error{Kind: "throttled", Message: "internal"}), 429, "1"},
		{errors.New("internal"), 502, ""},
	} {
		url, log := serve(t, "/", failing(c.err))
		resp, body := ask(t, "GET", url, "", "Accept", "*/*")
		var problem struct {
			Type, Title string
			Status      int
			RequestID   string `json:"request_id"`
		}
		if err := json.Unmarshal([]byte(body), &problem); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		if resp.StatusCode != c.status || problem.Status != c.status || problem.RequestID != "request-1" || problem.Type != "about:blank" || problem.Title != http.StatusText(c.status) {
			t.Errorf("%v: %d %s", c.err, resp.StatusCode, body)
		}
		if resp.Header.Get("Retry-After") != c.retry || resp.Header.Get("Content-Type") != "application/problem+json" || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v: %v", c.err, resp.Header)
		}
		if strings.Contains(body, "internal") || strings.Contains(fmt.Sprint(resp.Header), "lambda-1") {
			t.Errorf("the visitor learns %v %s", resp.Header, body)
		}
		if line := log.String(); strings.Count(line, "\n") != 1 || !strings.Contains(line, `"function":"hook"`) || !strings.Contains(line, `"request_id":"request-1"`) || !strings.Contains(line, "internal") {
			t.Errorf("logged %s", line)
		} else if _, ok := errors.AsType[*lambda.Error](c.err); ok && !strings.Contains(line, `"message":"internal"`) {
			t.Errorf("logged without what the error knows: %s", line)
		}
	}
}

func TestBrowsersGetAPage(t *testing.T) {
	url, _ := serve(t, "/", returning("<secret>"))
	resp, body := ask(t, "GET", url, "", "Accept", "text/html,*/*;q=0.8", "X-Request-Id", `"<script>`)
	if resp.StatusCode != 502 || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(body, "<h1>Bad Gateway</h1>") ||
		!strings.Contains(body, "&#34;&lt;script&gt;") || strings.Contains(body, "secret") {
		t.Errorf("%v %s", resp.Header, body)
	}
}

func TestWhatIsTooLargeInvokesNothing(t *testing.T) {
	invoked := make(chan struct{}, 10)
	counting := invoker(func(context.Context, []byte) (lambda.Result, error) {
		invoked <- struct{}{}
		return lambda.Result{Payload: []byte("{}")}, nil
	})
	large, endless := strings.Repeat("x", lambda.MaxEvent), &zeros{}
	for name, body := range map[string]io.Reader{
		"declared":     strings.NewReader(large + "x"),
		"endless":      endless,
		"as base64":    strings.NewReader(large[:(lambda.MaxEvent+3)/4*3]),
		"of the limit": http.MaxBytesReader(nil, io.NopCloser(strings.NewReader("too much")), 3),
	} {
		log := &logged{}
		w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/", body)
		gateway.NewHandler(counting, "hook", slog.New(slog.NewJSONHandler(log, nil))).ServeHTTP(w, r)
		if w.Code != 413 || !strings.Contains(log.String(), `"kind":"too_large"`) {
			t.Errorf("%s: %d %s", name, w.Code, log)
		}
	}
	if endless.n > lambda.MaxEvent+64<<10 {
		t.Errorf("%d bytes were read", endless.n)
	}
	declared := httptest.NewRequest("POST", "/", broken{})
	declared.ContentLength = 1 << 40
	w := httptest.NewRecorder()
	if gateway.NewHandler(counting, "hook", slog.New(slog.DiscardHandler)).ServeHTTP(w, declared); w.Code != 413 {
		t.Errorf("declared, and not read: %d", w.Code)
	}
	w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader("x"), broken{}))
	gateway.NewHandler(counting, "hook", slog.New(slog.DiscardHandler)).ServeHTTP(w, r)
	if w.Code != 400 {
		t.Errorf("half a body: %d", w.Code)
	}
	if len(invoked) > 0 {
		t.Errorf("invoked %d times", len(invoked))
	}
}

// zeros is a body without end.
type zeros struct{ n int }

func (z *zeros) Read(p []byte) (int, error) {
	clear(p)
	z.n += len(p)
	return len(p), nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestAnInvocationEndsWithItsVisitor(t *testing.T) {
	began, ended := make(chan struct{}), make(chan error, 1)
	url, log := serve(t, "/", func(ctx context.Context, _ []byte) (lambda.Result, error) {
		close(began)
		<-ctx.Done()
		ended <- ctx.Err()
		return lambda.Result{}, &lambda.Error{Kind: "failed", Err: ctx.Err()}
	})
	ctx, leave := context.WithCancel(t.Context())
	go func() { <-began; leave() }()
	r, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
	if _, err := http.DefaultTransport.RoundTrip(r); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	t.Cleanup(func() {
		if s := log.String(); strings.Contains(s, "ERROR") {
			t.Error(s)
		}
	})
}
