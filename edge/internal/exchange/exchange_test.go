package exchange_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

func TestAnswers(t *testing.T) {
	type X = *exchange.Exchange
	write := func(x X, s string) { _, _ = x.Write([]byte(s)) }
	for name, c := range map[string]struct {
		method   string
		handler  exchange.HandlerFunc
		status   int
		length   int64
		body     string
		bodiless bool
		aborted  error
	}{
		"nothing said":          {"GET", func(X) {}, 200, 0, "", false, nil},
		"status alone":          {"GET", func(x X) { x.Response.Status = 404 }, 404, 0, "", false, nil},
		"unknown length":        {"GET", func(x X) { write(x, "ab"); write(x, "c") }, 200, -1, "abc", false, nil},
		"declared length":       {"GET", func(x X) { x.Response.Length = 3; write(x, "abc") }, 200, 3, "abc", false, nil},
		"trailers but no body":  {"GET", func(x X) { x.Response.Trailers.Add("A", "1") }, 200, -1, "", false, nil},
		"too short":             {"GET", func(x X) { x.Response.Length = 4; write(x, "abc") }, 200, 4, "abc", false, io.ErrUnexpectedEOF},
		"declared, not written": {"GET", func(x X) { x.Response.Length = 4 }, 200, 4, "", false, io.ErrUnexpectedEOF},
		"too long":              {"GET", func(x X) { x.Response.Length = 2; write(x, "abc"); write(x, "d") }, 200, 2, "ab", false, nil},
		"HEAD":                  {"HEAD", func(x X) { x.Response.Length = 9; write(x, "abc") }, 200, 9, "", true, nil},
		"HEAD, nothing said":    {"HEAD", func(X) {}, 200, -1, "", true, nil},
		"204":                   {"GET", func(x X) { x.Response.Status = 204; write(x, "abc") }, 204, -1, "", true, nil},
		"304 with a length":     {"GET", func(x X) { x.Response.Status, x.Response.Length = 304, 7 }, 304, 7, "", true, nil},
		"aborted in the body":   {"GET", func(x X) { write(x, "ab"); x.Abort(io.ErrClosedPipe); write(x, "c") }, 200, -1, "ab", false, io.ErrClosedPipe},
		"aborted at once":       {"GET", func(x X) { x.Abort(io.ErrClosedPipe); write(x, "c"); _ = x.Flush() }, 0, -1, "", false, io.ErrClosedPipe},
		"first abort counts":    {"GET", func(x X) { x.Abort(io.ErrClosedPipe); x.Abort(io.EOF) }, 0, -1, "", false, io.ErrClosedPipe},
		"1xx is no answer":      {"GET", func(x X) { x.Response.Status = 103; write(x, "c") }, 0, -1, "", false, exchange.ErrBadStatus},
		"101 but no upgrade":    {"GET", func(x X) { x.Response.Status = 101 }, 0, -1, "", false, exchange.ErrBadStatus},
		"no such status":        {"GET", func(x X) { x.Response.Status = 1000 }, 0, -1, "", false, exchange.ErrBadStatus},
	} {
		t.Run(name, func(t *testing.T) {
			x, r := exchangetest.New(c.method, "/")
			r.Serve(c.handler)
			if r.Status != c.status || r.Length != c.length || r.Body.String() != c.body || r.Bodiless != c.bodiless || !errors.Is(r.Aborted, c.aborted) {
				t.Errorf("got %d, length %d, body %q, bodiless %v, aborted %v", r.Status, r.Length, r.Body.String(), r.Bodiless, r.Aborted)
			}
			if x.Record.BytesOut != int64(len(c.body)) {
				t.Errorf("%d bytes out", x.Record.BytesOut)
			}
		})
	}
}

func TestWritingTooMuchIsAnError(t *testing.T) {
	x, _ := exchangetest.New("GET", "/")
	x.Response.Length = 3
	if n, err := x.Write([]byte("abc")); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := x.Write([]byte("d")); n != 0 || !errors.Is(err, exchange.ErrWrittenTooMuch) {
		t.Errorf("%d, %v", n, err)
	}
}

func TestAVisitorWhoIsGoneAbortsTheExchange(t *testing.T) {
	x, r := exchangetest.New("GET", "/")
	r.Serve(exchange.HandlerFunc(func(x *exchange.Exchange) {
		_, _ = x.Write([]byte("a"))
		r.Cancel(exchange.ErrClientGone)
		if _, err := x.Write([]byte("b")); !errors.Is(err, exchange.ErrClientGone) {
			t.Errorf("Write: %v", err)
		}
	}))
	if !errors.Is(r.Aborted, exchange.ErrClientGone) || x.Context().Err() == nil || x.Record.BytesOut != 1 {
		t.Errorf("aborted %v, %d bytes out", r.Aborted, x.Record.BytesOut)
	}
}

type hook struct {
	name string
	log  *[]string
}

func (h hook) BeforeHead(x *exchange.Exchange) {
	*h.log = append(*h.log, h.name)
	x.Response.Fields.Set("Last", h.name)
}

func TestTheOutermostHookHasTheLastWord(t *testing.T) {
	var log []string
	x, r := exchangetest.New("GET", "/")
	for _, name := range []string{"outermost", "middle", "innermost"} {
		x.BeforeHead(hook{name, &log})
	}
	r.Serve(exchange.HandlerFunc(func(x *exchange.Exchange) {
		_ = x.Flush()
		_, _ = x.Write([]byte("a"))
	}))
	if !slices.Equal(log, []string{"innermost", "middle", "outermost"}) || r.Fields.Get("last") != "outermost" {
		t.Errorf("%v, %v", log, r.Fields)
	}
}

func TestInformationalAnswersComeBeforeTheHead(t *testing.T) {
	x, r := exchangetest.New("GET", "/")
	_ = x.SendInformational(103, exchange.Fields{{Name: "Link", Value: "<a>"}})
	_ = x.Flush()
	_ = x.SendInformational(103, nil)
	if len(r.Informational) != 1 || r.Informational[0].Fields.Get("link") != "<a>" || r.Flushes != 1 {
		t.Errorf("%v, %d flushes", r.Informational, r.Flushes)
	}
	x, r = exchangetest.New("GET", "/", exchangetest.Protocol(exchange.HTTP10))
	if err := x.SendInformational(103, nil); err != nil || r.Informational != nil {
		t.Errorf("HTTP/1.0 got %v, %v", r.Informational, err)
	}
}

func TestUpgrade(t *testing.T) {
	x, r := exchangetest.New("GET", "/", exchangetest.Upgrade("echo"))
	conn, err := x.Upgrade()
	if err != nil {
		t.Fatal(err)
	}
	visitor := <-r.Upgraded
	go func() {
		_, _ = io.Copy(conn, conn)
		_ = conn.Close()
	}()
	go func() { _, _ = io.WriteString(visitor, "ping") }()
	answer := make([]byte, 4)
	if _, err := io.ReadFull(visitor, answer); err != nil || string(answer) != "ping" {
		t.Errorf("%q, %v", answer, err)
	}
	_ = visitor.Close()
	if err := x.Finish(); err != nil || r.Status != 101 {
		t.Errorf("%d, %v", r.Status, err)
	}

	x, r = exchangetest.New("GET", "/")
	if _, err := x.Upgrade(); !errors.Is(err, exchange.ErrNoUpgrade) || r.Status != 0 {
		t.Errorf("not asked for, but %v and %d", err, r.Status)
	}
}

func TestLimitBody(t *testing.T) {
	for name, c := range map[string]struct {
		body     string
		declared bool
		limits   []int64
		fits     bool
		read     string
		err      error
	}{
		"exactly":              {"12345", true, []int64{5}, true, "12345", nil},
		"one over":             {"123456", true, []int64{5}, false, "12345", exchange.ErrBodyTooLarge},
		"undeclared, exactly":  {"12345", false, []int64{5}, true, "12345", nil},
		"undeclared, one over": {"123456", false, []int64{5}, true, "12345", exchange.ErrBodyTooLarge},
		"the smallest holds":   {"123456", false, []int64{9, 2, 7}, true, "12", exchange.ErrBodyTooLarge},
		"nothing allowed":      {"1", false, []int64{0}, true, "", exchange.ErrBodyTooLarge},
		"nothing sent":         {"", false, []int64{0}, true, "", nil},
		"no limit":             {"12345", true, []int64{exchange.Unlimited}, true, "12345", nil},
	} {
		t.Run(name, func(t *testing.T) {
			length := int64(-1)
			if c.declared {
				length = int64(len(c.body))
			}
			for _, buffer := range []int{1, 2, 100} {
				x, _ := exchangetest.New("POST", "/", exchangetest.BodyFrom(strings.NewReader(c.body), length))
				fits := true
				for _, n := range c.limits {
					fits = x.LimitBody(n) && fits
				}
				got, err := readAll(x.Body, buffer)
				if fits != c.fits || got != c.read || !errors.Is(err, c.err) {
					t.Errorf("buffer of %d: fits %v, read %q, %v", buffer, fits, got, err)
				}
				if n, err := x.Body.Read(make([]byte, 9)); c.err != nil && (n != 0 || !errors.Is(err, c.err)) {
					t.Errorf("reading on gives %d, %v", n, err)
				}
				if c.err == nil && x.Record.BytesIn != int64(len(c.body)) {
					t.Errorf("%d bytes in", x.Record.BytesIn)
				}
			}
		})
	}
}

func TestALimitMaySinkBelowWhatWasRead(t *testing.T) {
	x, _ := exchangetest.New("POST", "/", exchangetest.Body("123456"))
	x.LimitBody(100)
	if _, err := io.ReadFull(x.Body, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	x.LimitBody(2)
	if n, err := x.Body.Read(make([]byte, 9)); n != 0 || !errors.Is(err, exchange.ErrBodyTooLarge) {
		t.Errorf("%d, %v", n, err)
	}
}

func readAll(r io.Reader, buffer int) (string, error) {
	var all []byte
	p := make([]byte, buffer)
	for {
		n, err := r.Read(p)
		all = append(all, p[:n]...)
		if err == io.EOF {
			return string(all), nil
		}
		if err != nil {
			return string(all), err
		}
	}
}

func TestResetKeepsMemoryAndNothingElse(t *testing.T) {
	x, r := exchangetest.New("POST", "/secret?secret", exchangetest.Body("secret"), exchangetest.Field("Cookie", "secret"), exchangetest.Upgrade("secret"))
	x.LimitBody(3)
	x.Trailers.Add("A", "secret")
	x.Response.Fields.Add("Set-Cookie", "secret")
	x.Response.Trailers.Add("A", "secret")
	x.BeforeHead(hook{"secret", new([]string)})
	x.Record.ErrorReason = "secret"
	x.Abort(io.EOF)
	fields := x.Fields

	x.Reset(r)
	if x.ID+x.Method+x.Host+x.RawPath+x.RawQuery+x.Path+x.Record.ErrorReason+x.Request.Upgrade != "" || x.Aborted() != nil || x.HeadSent() {
		t.Errorf("%+v", x)
	}
	for name, f := range map[string]exchange.Fields{"fields": x.Fields, "trailers": x.Trailers, "answer": x.Response.Fields, "its trailers": x.Response.Trailers} {
		if len(f) != 0 || cap(f) == 0 || f[:1][0] != (exchange.Field{}) {
			t.Errorf("%s: %v of %d", name, f, cap(f))
		}
	}
	if fields[0] != (exchange.Field{}) {
		t.Errorf("an old field is left in memory: %v", fields[0])
	}
	if b, err := io.ReadAll(x.Body); len(b) != 0 || err != nil || x.Response.Length != -1 || x.Request.Length != 0 {
		t.Errorf("body %q, %v", b, err)
	}
	_ = x.SendHead()
	if r.Fields.Has("Last") {
		t.Error("an old hook was called")
	}
}

// idle is a stream that does nothing, so that only the exchange is measured.
type idle struct{ exchange.Stream }

func (idle) SendHead(*exchange.Response, bool) error { return nil }
func (idle) Write(p []byte) (int, error)             { return len(p), nil }
func (idle) Flush() error                            { return nil }

type quietHook struct{}

func (quietHook) BeforeHead(x *exchange.Exchange) { x.Response.Fields.Set("Server", "edge") }

func exchangeOnce(x *exchange.Exchange, s exchange.Stream, body *strings.Reader, p []byte) {
	body.Reset("hello")
	x.Reset(s)
	x.Method, x.RawPath, x.Request.Length, x.Request.Body = "GET", "/", 5, body
	x.Fields.Add("Accept", "*/*")
	x.Fields.Add("User-Agent", "test")
	x.Fields.Del("accept")
	x.LimitBody(1 << 20)
	x.BeforeHead(quietHook{})
	_, _ = x.Body.Read(p)
	x.Response.Fields.Add("Content-Type", "text/plain")
	_, _ = x.Write(p)
	_ = x.Flush()
	_ = x.Finish()
}

func TestAnExchangeDoesNotAllocate(t *testing.T) {
	x, body, p := &exchange.Exchange{}, strings.NewReader(""), make([]byte, 16)
	var s exchange.Stream = idle{}
	if n := testing.AllocsPerRun(100, func() { exchangeOnce(x, s, body, p) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkExchange(b *testing.B) {
	x, body, p := &exchange.Exchange{}, strings.NewReader(""), make([]byte, 16)
	var s exchange.Stream = idle{}
	b.ReportAllocs()
	for b.Loop() {
		exchangeOnce(x, s, body, p)
	}
}

func BenchmarkHTTP(b *testing.B) {
	h := exchange.HTTP(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "hello")
	}))
	_, r := exchangetest.New("GET", "/")
	x := &exchange.Exchange{}
	var s exchange.Stream = idleInContext{r}
	b.ReportAllocs()
	for b.Loop() {
		x.Reset(s)
		x.Protocol, x.Method, x.RawPath, x.Host = exchange.HTTP11, "GET", "/", "example.com"
		x.Fields.Add("Accept", "*/*")
		x.Fields.Add("User-Agent", "test")
		h.ServeExchange(x)
	}
}

type idleInContext struct{ exchange.Stream }

func (idleInContext) SendHead(*exchange.Response, bool) error { return nil }
func (idleInContext) Write(p []byte) (int, error)             { return len(p), nil }
