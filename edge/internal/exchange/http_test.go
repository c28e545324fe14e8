package exchange_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/netip"
	"net/textproto"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

// seen is what a visitor sees of an answer.
type seen struct {
	Status  int
	Header  http.Header
	Length  int64
	Body    string
	Trailer http.Header
	Hints   []string // informational answers
	Broken  bool
}

// overNetHTTP asks h under net/http's own server.
func overNetHTTP(t *testing.T, h http.Handler, method, target, body string) seen {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = discardLog()
	server.Start()
	defer server.Close()
	var s seen
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(status int, h textproto.MIMEHeader) error {
		s.Hints = append(s.Hints, fmt.Sprint(status, http.Header(h)))
		return nil
	}})
	r, err := http.NewRequestWithContext(ctx, method, server.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	a, err := transport.RoundTrip(r)
	if err != nil {
		s.Broken = true
		return s
	}
	defer func() { _ = a.Body.Close() }()
	b, err := io.ReadAll(a.Body)
	s.Status, s.Header, s.Length, s.Body, s.Trailer, s.Broken = a.StatusCode, a.Header, a.ContentLength, string(b), a.Trailer, err != nil
	delete(s.Header, "Date")
	return s
}

// overExchange asks h under our adapter, and says what a client of a front would make of the answer.
func overExchange(h http.Handler, method, target, body string) seen {
	var options []exchangetest.Option
	if body != "" {
		options = append(options, exchangetest.Body(body))
	}
	_, r := exchangetest.New(method, target, options...)
	r.Serve(exchange.HTTP(h))
	if r.Status == 0 {
		return seen{Broken: true}
	}
	s := seen{Status: r.Status, Header: http.Header{}, Length: r.Length, Body: r.Body.String()}
	for _, f := range r.Fields {
		s.Header.Add(f.Name, f.Value)
	}
	if r.Length >= 0 {
		s.Header.Set("Content-Length", fmt.Sprint(r.Length))
	}
	if r.Bodiless && method != http.MethodHead {
		s.Length = 0
	}
	if !r.Bodiless {
		s.Broken = r.Aborted != nil
		s.Trailer = trailer(s.Header["Trailer"], r.Trailers)
		delete(s.Header, "Trailer")
	}
	for _, i := range r.Informational {
		h := http.Header{}
		for _, f := range i.Fields {
			h.Add(f.Name, f.Value)
		}
		s.Hints = append(s.Hints, fmt.Sprint(i.Status, h))
	}
	return s
}

func trailer(declared []string, fields exchange.Fields) http.Header {
	if len(declared)+len(fields) == 0 {
		return nil
	}
	h := http.Header{}
	for _, list := range declared {
		for name := range strings.SplitSeq(list, ", ") {
			h[http.CanonicalHeaderKey(name)] = nil
		}
	}
	for _, f := range fields {
		h.Add(f.Name, f.Value)
	}
	return h
}

// The same http.Handlers must look the same from outside, whatever server they run on.
func TestHandlersAnswerAsUnderNetHTTP(t *testing.T) {
	type W = http.ResponseWriter
	type R = *http.Request
	write := func(w W, s string) { _, _ = io.WriteString(w, s) }
	big := strings.Repeat("0123456789abcdef", 4096)
	for name, handler := range map[string]http.HandlerFunc{
		"nothing":           func(W, R) {},
		"small":             func(w W, _ R) { write(w, "hello") },
		"html":              func(w W, _ R) { write(w, "<!doctype html>"); write(w, "<p>") },
		"json, typed":       func(w W, _ R) { w.Header().Set("Content-Type", "application/json"); write(w, "{}") },
		"no type wanted":    func(w W, _ R) { w.Header()["Content-Type"] = nil; write(w, "<p>") },
		"encoded":           func(w W, _ R) { w.Header().Set("Content-Encoding", "gzip"); write(w, "\x1f\x8b\x08") },
		"buffer just full":  func(w W, _ R) { write(w, big[:2048]) },
		"buffer overflows":  func(w W, _ R) { write(w, big[:2048]); write(w, "x") },
		"big at once":       func(w W, _ R) { write(w, big) },
		"big declared":      func(w W, _ R) { w.Header().Set("Content-Length", fmt.Sprint(len(big))); write(w, big) },
		"read from":         func(w W, _ R) { _, _ = io.Copy(w, strings.NewReader("<html>"+big)) },
		"empty write":       func(w W, _ R) { write(w, ""); w.Header().Set("X-Too-Late", "1") },
		"status":            func(w W, _ R) { w.WriteHeader(418); write(w, "teapot") },
		"status twice":      func(w W, _ R) { w.WriteHeader(202); w.WriteHeader(500) },
		"unknown status":    func(w W, _ R) { w.WriteHeader(999) },
		"header after head": func(w W, _ R) { w.WriteHeader(200); w.Header().Set("X-Late", "1"); write(w, "x") },
		"204":               func(w W, _ R) { w.WriteHeader(204); write(w, "x") },
		"204 with length":   func(w W, _ R) { w.Header().Set("Content-Length", "3"); w.WriteHeader(204) },
		"304": func(w W, _ R) {
			w.Header().Set("Etag", `"a"`)
			w.Header().Set("Content-Type", "x/y")
			w.WriteHeader(304)
		},
		"too short":        func(w W, _ R) { w.Header().Set("Content-Length", "9"); write(w, "hello") },
		"too long":         func(w W, _ R) { w.Header().Set("Content-Length", "3"); write(w, "abc"); write(w, "def") },
		"too long at once": func(w W, _ R) { w.Header().Set("Content-Length", "3"); write(w, "abcdef") },
		"several values":   func(w W, _ R) { w.Header()["X-A"] = []string{"1", "2"}; w.Header().Add("set-cookie", "a=b") },
		"header injection": func(w W, _ R) { w.Header()["X-A"] = []string{"1\r\nX-B: 2"}; w.Header()["X C:"] = []string{"3"} },
		"flushed":          func(w W, _ R) { write(w, "a"); _ = http.NewResponseController(w).Flush(); write(w, "b") },
		"flushed first":    func(w W, _ R) { w.(http.Flusher).Flush() },
		"hints": func(w W, _ R) {
			w.Header().Set("Link", "</a.css>; rel=preload")
			w.WriteHeader(103)
			w.WriteHeader(102)
			write(w, "x")
		},
		"trailers": func(w W, _ R) {
			w.Header().Set("Trailer", "X-Sum, x-unset")
			write(w, "body")
			w.Header().Set("X-Sum", "7")
			w.Header().Set("X-Other", "no")
		},
		"late trailers":  func(w W, _ R) { w.(http.Flusher).Flush(); w.Header().Set(http.TrailerPrefix+"x-sum", "7") },
		"trailers alone": func(w W, _ R) { w.Header().Set(http.TrailerPrefix+"X-Sum", "7") },
		"abort":          func(w W, _ R) { write(w, "x"); w.(http.Flusher).Flush(); panic(http.ErrAbortHandler) },
		"abort at once":  func(w W, _ R) { write(w, "x"); panic(http.ErrAbortHandler) },
		"echo":           func(w W, r R) { _, _ = io.Copy(w, r.Body) },
		"body read late": func(w W, r R) { w.(http.Flusher).Flush(); b, _ := io.ReadAll(r.Body); write(w, string(b)) },
		"http.Error":     func(w W, _ R) { http.Error(w, "no", 403) },
		"http.Redirect":  func(w W, r R) { http.Redirect(w, r, "../c?d", 307) },
		"http.NotFound":  http.NotFound,
		"content":        func(w W, r R) { http.ServeContent(w, r, "a.txt", time.Unix(1e9, 0), strings.NewReader(big)) },
		"timeout":        func(w W, r R) { http.TimeoutHandler(http.NotFoundHandler(), time.Minute, "").ServeHTTP(w, r) },
	} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			body := ""
			if method == "POST" {
				body = "posted"
			}
			if name == "body read late" && method == "POST" {
				handler = fullDuplex(handler) // the default here, an option there
			}
			t.Run(name+"/"+method, func(t *testing.T) {
				t.Parallel()
				want := overNetHTTP(t, handler, method, "/a/b?c=d", body)
				got := overExchange(handler, method, "/a/b?c=d", body)
				if want.Broken && got.Broken { // how much was under way by then is the front's and the kernel's affair
					want, got = seen{Status: want.Status}, seen{Status: got.Status}
					if name == "abort at once" || strings.HasPrefix(name, "too long") {
						want.Status, got.Status = 0, 0
					}
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("\n got %.400v\nwant %.400v", fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want))
				}
			})
		}
	}
}

func fullDuplex(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		h(w, r)
	}
}

// And they must be asked the same.
func TestHandlersAreAskedAsUnderNetHTTP(t *testing.T) {
	describe := func(r *http.Request) string {
		body, err := io.ReadAll(r.Body)
		return fmt.Sprintln(r.Method, r.RequestURI, r.Host, r.Proto, r.ProtoMajor, r.ProtoMinor) +
			fmt.Sprintf("url %#v\n", *r.URL) + fmt.Sprintln("header", r.Header) +
			fmt.Sprintln("body", string(body), err, r.ContentLength, r.TransferEncoding, "trailer", r.Trailer, r.TLS)
	}
	for name, c := range map[string]struct {
		raw  string
		make func() (*exchange.Exchange, *exchangetest.Recorder)
	}{
		"get": {"GET /a%2Fb//c;d?e=%20&f=é? HTTP/1.1\r\nHost: Example.com:81\r\naccept: a\r\nX-y: 1\r\nACCEPT: b\r\n\r\n",
			func() (*exchange.Exchange, *exchangetest.Recorder) {
				return exchangetest.New("GET", "http://Example.com:81/a%2Fb//c;d?e=%20&f=é?", exchangetest.Field("accept", "a"), exchangetest.Field("X-y", "1"), exchangetest.Field("ACCEPT", "b"))
			}},
		"double slash": {"GET //evil.example/x? HTTP/1.0\r\nHost: h\r\n\r\n",
			func() (*exchange.Exchange, *exchangetest.Recorder) {
				x, r := exchangetest.New("GET", "//evil.example/x?", exchangetest.Protocol(exchange.HTTP10))
				x.Host = "h"
				return x, r
			}},
		"options": {"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
			func() (*exchange.Exchange, *exchangetest.Recorder) {
				x, r := exchangetest.New("OPTIONS", "*")
				x.Host = "h"
				return x, r
			}},
		"body": {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTE: trailers\r\n\r\nhello",
			func() (*exchange.Exchange, *exchangetest.Recorder) {
				x, r := exchangetest.New("POST", "/", exchangetest.Body("hello"))
				x.Host, x.AcceptTrailers = "h", true
				return x, r
			}},
		"chunked with trailers": {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum, X-Unset\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n",
			func() (*exchange.Exchange, *exchangetest.Recorder) {
				x, r := exchangetest.New("POST", "/", exchangetest.BodyFrom(strings.NewReader("hello"), -1), exchangetest.Field("Trailer", "x-sum, X-Unset"))
				x.Host, x.Trailers = "h", exchange.Fields{{Name: "X-Sum", Value: "7"}}
				return x, r
			}},
		"upgrade": {"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
			func() (*exchange.Exchange, *exchangetest.Recorder) {
				x, r := exchangetest.New("GET", "/", exchangetest.Upgrade("websocket"), exchangetest.Field("Sec-WebSocket-Version", "13"))
				x.Host = "h"
				return x, r
			}},
	} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan string, 1)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- describe(r) }))
			server.Config.DisableGeneralOptionsHandler = true
			server.Start()
			defer server.Close()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := io.WriteString(conn, c.raw); err != nil {
				t.Fatal(err)
			}
			if a, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || a.StatusCode != 200 {
				t.Fatal(a, err)
			}
			want, got := <-asked, ""
			x, r := c.make()
			x.ID, x.Scheme = "", "http"
			r.Serve(exchange.HTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = describe(r) })))
			if got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		})
	}
}

func serveHTTP(r *exchangetest.Recorder, h http.HandlerFunc) { r.Serve(exchange.HTTP(h)) }

func TestModuleLearnsThatAProxyEndedTLS(t *testing.T) {
	for scheme, want := range map[string]string{"https": "https", "http": ""} {
		x, r := exchangetest.New("GET", "/")
		x.Scheme, x.TLS = scheme, nil
		serveHTTP(r, func(_ http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("X-Forwarded-Proto"); got != want {
				t.Errorf("%s: %q", scheme, got)
			}
		})
	}
}

func TestModuleLearnsRequestIDAndClient(t *testing.T) {
	x, r := exchangetest.New("GET", "/", exchangetest.Field("x-request-id", "forged"))
	x.ID = "the-id"
	serveHTTP(r, func(_ http.ResponseWriter, r *http.Request) {
		if ids := r.Header["X-Request-Id"]; !slices.Equal(ids, []string{"the-id"}) || r.RemoteAddr != "192.0.2.1:50000" {
			t.Errorf("id %q from %s", ids, r.RemoteAddr)
		}
	})
	x, r = exchangetest.New("GET", "/")
	x.Client = netip.MustParseAddr("2001:db8::7")
	serveHTTP(r, func(_ http.ResponseWriter, r *http.Request) {
		if r.RemoteAddr != "[2001:db8::7]:0" {
			t.Errorf("behind a proxy: %s", r.RemoteAddr)
		}
	})
}

func TestWhatAModuleKeepsOutlivesTheExchange(t *testing.T) {
	head := []byte("GET /path?query host.example X-Name value")
	part := func(from, to int) string { return stringOf(head[from:to]) }
	x, r := exchangetest.New("GET", "/")
	x.Method, x.RawPath, x.RawQuery, x.HasQuery, x.Host = part(0, 3), part(4, 9), part(10, 15), true, part(16, 28)
	x.Fields.Add(part(29, 35), part(36, 41))
	var kept *http.Request
	serveHTTP(r, func(_ http.ResponseWriter, r *http.Request) { kept = r })
	for i := range head {
		head[i] = '#'
	}
	if got := fmt.Sprint(kept.Method, kept.URL, kept.RequestURI, kept.Host, kept.Header["X-Name"]); got != "GET/path?query/path?queryhost.example[value]" {
		t.Error(got)
	}
	if kept.Context().Err() == nil {
		t.Error("the request's context goes on")
	}
}

func TestNothingMovesOnceTheHandlerHasReturned(t *testing.T) {
	_, r := exchangetest.New("POST", "/", exchangetest.Body("unread"))
	var w http.ResponseWriter
	var body io.Reader
	serveHTTP(r, func(rw http.ResponseWriter, r *http.Request) { w, body = rw, r.Body })
	if n, err := w.Write([]byte("late")); n != 0 || err == nil {
		t.Errorf("Write: %d, %v", n, err)
	}
	if n, err := body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("Read: %d, %v", n, err)
	}
	c := http.NewResponseController(w)
	if c.Flush() == nil || c.SetReadDeadline(time.Now()) == nil || c.SetWriteDeadline(time.Now()) == nil {
		t.Error("the controller still controls")
	}
	w.WriteHeader(500)
	if r.Status != 200 || r.Body.Len() != 0 {
		t.Errorf("%d %q", r.Status, r.Body.String())
	}
}

func TestPanicsGoUpWithNothingSent(t *testing.T) {
	x, r := exchangetest.New("GET", "/")
	defer func() {
		if p := recover(); p != "bug" || x.HeadSent() || x.Aborted() != nil || r.Body.Len() > 0 {
			t.Errorf("panic %v, head sent %v, aborted %v", p, x.HeadSent(), x.Aborted())
		}
	}()
	serveHTTP(r, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(200)
		_, _ = w.Write([]byte("half an ans"))
		panic("bug")
	})
}

func TestBodyOverItsLimitIsAMaxBytesError(t *testing.T) {
	x, r := exchangetest.New("POST", "/", exchangetest.Body("123456"))
	x.LimitBody(5)
	serveHTTP(r, func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		var tooLarge *http.MaxBytesError
		if string(b) != "12345" || !errors.Is(err, exchange.ErrBodyTooLarge) || !errors.As(err, &tooLarge) || tooLarge.Limit != 5 {
			t.Errorf("%q, %v", b, err)
		}
	})
}

func TestDeadlinesReachTheStream(t *testing.T) {
	_, r := exchangetest.New("GET", "/")
	in, out := time.Unix(1, 0), time.Unix(2, 0)
	serveHTTP(r, func(w http.ResponseWriter, _ *http.Request) {
		c := http.NewResponseController(w)
		if err := errors.Join(c.SetReadDeadline(in), c.SetWriteDeadline(out), c.EnableFullDuplex()); err != nil {
			t.Error(err)
		}
	})
	if !r.ReadDeadline.Equal(in) || !r.WriteDeadline.Equal(out) {
		t.Errorf("%v, %v", r.ReadDeadline, r.WriteDeadline)
	}
}

func TestClientGoneEndsTheRequestsContext(t *testing.T) {
	_, r := exchangetest.New("GET", "/")
	serveHTTP(r, func(w http.ResponseWriter, req *http.Request) {
		r.Cancel(exchange.ErrClientGone)
		<-req.Context().Done()
		if cause := context.Cause(req.Context()); !errors.Is(cause, exchange.ErrClientGone) {
			t.Errorf("cause %v", cause)
		}
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, exchange.ErrClientGone) {
			t.Errorf("Flush: %v", err)
		}
	})
	if !errors.Is(r.Aborted, exchange.ErrClientGone) {
		t.Errorf("aborted: %v", r.Aborted)
	}
}

func TestHijackedConnectionOutlivesTheHandler(t *testing.T) {
	_, r := exchangetest.New("GET", "/", exchangetest.Upgrade("echo"))
	served := make(chan struct{})
	go func() {
		defer close(served)
		r.Serve(exchange.HTTP(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Echo", "1")
			w.WriteHeader(101)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := w.Write(nil); !errors.Is(err, http.ErrHijacked) {
				t.Errorf("Write: %v", err)
			}
			go func() {
				_, _ = io.CopyN(conn, conn, 2)
				if _, err := w.Write(nil); !errors.Is(err, http.ErrHijacked) {
					t.Errorf("Write after the handler has returned: %v", err)
				}
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		})))
	}()
	visitor := <-r.Upgraded
	go func() { _, _ = io.WriteString(visitor, "ping") }()
	answer := make([]byte, 4)
	if _, err := io.ReadFull(visitor, answer); err != nil || string(answer) != "ping" {
		t.Fatalf("%q, %v", answer, err)
	}
	select {
	case <-served:
		t.Fatal("the exchange is over but its connection is not")
	default:
	}
	_ = visitor.Close()
	<-served
	if r.Status != 101 || r.Fields.Get("X-Echo") != "1" || r.Aborted != nil {
		t.Errorf("%d %v %v", r.Status, r.Fields, r.Aborted)
	}
}

func TestHijackNeedsAnUpgrade(t *testing.T) {
	for name, c := range map[string]struct {
		options []exchangetest.Option
		status  int
	}{
		"not asked for":  {nil, 101},
		"no 101 yet":     {[]exchangetest.Option{exchangetest.Upgrade("x")}, 0},
		"another status": {[]exchangetest.Option{exchangetest.Upgrade("x")}, 200},
	} {
		_, r := exchangetest.New("GET", "/", c.options...)
		serveHTTP(r, func(w http.ResponseWriter, _ *http.Request) {
			if c.status > 0 {
				w.WriteHeader(c.status)
			}
			if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrNotSupported) {
				t.Errorf("%s: %v", name, err)
			}
		})
		if (c.status == 101) != errors.Is(r.Aborted, exchange.ErrNoUpgrade) {
			t.Errorf("%s: aborted %v", name, r.Aborted)
		}
	}
}

func TestUploadsLeaveNoTemporaryFiles(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	body := "--b\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n" + strings.Repeat("x", 100) + "\r\n--b--\r\n"
	_, r := exchangetest.New("POST", "/", exchangetest.Body(body), exchangetest.Field("Content-Type", "multipart/form-data; boundary=b"))
	serveHTTP(r, func(_ http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(0); err != nil {
			t.Error(err)
		}
		if files := filesIn(t, folder); files == 0 {
			t.Error("nothing was uploaded into a file")
		}
	})
	if files := filesIn(t, folder); files != 0 {
		t.Errorf("%d files left", files)
	}
}
