package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

// wire returns the bytes that a target gets for a request, without a body.
func wire(t *testing.T, x *exchange.Exchange, r *exchangetest.Recorder) string {
	t.Helper()
	got := make(chan string, 1)
	url := raw(t, func(_ int, c net.Conn, r *bufio.Reader) {
		got <- readHead(r)
		_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
	})
	r.Serve(to(t, url))
	if r.Status != 204 {
		t.Fatalf("status %d, reason %q", r.Status, x.Record.ErrorReason)
	}
	return <-got
}

func TestRequestLineGoesOutByteByByte(t *testing.T) {
	for _, path := range []string{
		"/", "/?", "/a%2Fb;c=d//e?x=1&&y", "/%61%7E~", "//evil.example/x", "//a//?q", "///", "/a|b", "//a|b", "//a%2fb",
		"/a?q=\"<>\\^`{|}", "/a:b@c", "/[x]", "/sub!$&'()*+,;=",
	} {
		x, r := exchangetest.New("GET", "/")
		x.RawPath, x.RawQuery, x.HasQuery = strings.Cut(path, "?")
		line, _, _ := strings.Cut(wire(t, x, r), "\r\n")
		if want := "GET " + path + " HTTP/1.1"; line != want {
			t.Errorf("%q: %q, want %q", path, line, want)
		}
	}
}

func TestOptionsStar(t *testing.T) {
	x, r := exchangetest.New("OPTIONS", "/")
	x.RawPath, x.Path = "*", "*"
	if got := wire(t, x, r); !strings.HasPrefix(got, "OPTIONS * HTTP/1.1\r\n") {
		t.Errorf("%q", got)
	}
}

func TestRequestHeadHasNothingInvented(t *testing.T) {
	x, r := exchangetest.New("GET", "https://Example.COM:8443/p")
	got := wire(t, x, r)
	trace := x.Request.Fields.Get("X-Amzn-Trace-Id")
	want := "GET /p HTTP/1.1\r\nHost: Example.COM:8443\r\n" +
		"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\nX-Forwarded-Host: Example.COM:8443\r\n" +
		"X-Request-Id: test-request\r\nX-Amzn-Trace-Id: " + trace + "\r\n\r\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRequestFieldsGoAlong(t *testing.T) {
	x, r := exchangetest.New("GET", "/",
		exchangetest.Field("user-agent", "me"), exchangetest.Field("accept-encoding", "br"),
		exchangetest.Field("X-A", "1"), exchangetest.Field("x-a", "2"), exchangetest.Field("X-Empty", ""),
		exchangetest.Field("X-Forwarded-For", "203.0.113.9"), exchangetest.Field("X-Forwarded-For", "198.51.100.2"),
		exchangetest.Field("X-Forwarded-Proto", "http"), exchangetest.Field("X-Forwarded-Port", "81"),
		exchangetest.Field("X-Forwarded-Host", "front.example"), exchangetest.Field("X-Request-Id", "theirs"))
	got := wire(t, x, r)
	for _, line := range []string{
		"user-agent: me", "accept-encoding: br", "X-A: 1\r\nx-a: 2", "X-Empty: ",
		"X-Forwarded-For: 203.0.113.9, 198.51.100.2, 192.0.2.1", "X-Forwarded-Proto: http", "X-Forwarded-Port: 81",
		"X-Forwarded-Host: front.example", "X-Request-Id: test-request",
	} {
		if !strings.Contains(got, "\r\n"+line+"\r\n") {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
}

func TestPublicPort(t *testing.T) {
	x, _ := exchangetest.New("GET", "/")
	New(Options{PublicPort: 8443}).addForwarded(x)
	if got := x.Request.Fields.Get("X-Forwarded-Port"); got != "8443" {
		t.Errorf("https: %q", got)
	}
	x, _ = exchangetest.New("GET", "http://a.example/")
	x.Local = x.Peer
	New(Options{PublicPort: 8443}).addForwarded(x)
	if got := x.Request.Fields.Get("X-Forwarded-Port"); got != "50000" {
		t.Errorf("http: %q", got)
	}
}

func TestRequestBody(t *testing.T) {
	type seen struct {
		length  int64
		te      string
		body    string
		trailer string
	}
	for _, tt := range []struct {
		name   string
		method string
		option exchangetest.Option
		want   seen
	}{
		{"none", "GET", exchangetest.Body(""), seen{length: 0}},
		{"none of a POST", "POST", exchangetest.Body(""), seen{length: 0}},
		{"of known length", "POST", exchangetest.Body("hello"), seen{length: 5, body: "hello"}},
		{"of known length of a GET", "GET", exchangetest.Body("hello"), seen{length: 5, body: "hello"}},
		{"of unknown length", "PUT", exchangetest.BodyFrom(strings.NewReader("hello"), -1), seen{-1, "chunked", "hello", "7"}},
		{"of unknown length of a GET", "GET", exchangetest.BodyFrom(strings.NewReader("hello"), -1), seen{-1, "chunked", "hello", "7"}},
		{"of unknown length and empty", "POST", exchangetest.BodyFrom(strings.NewReader(""), -1), seen{-1, "chunked", "", "7"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := make(chan seen, 1)
			handler := func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				got <- seen{r.ContentLength, strings.Join(r.TransferEncoding, ","), string(body), r.Trailer.Get("X-Sum")}
			}
			x, r := exchangetest.New(tt.method, "/", tt.option)
			x.Request.Fields.Add("Trailer", "X-Sum")
			x.Request.Trailers.Add("x-sum", "7")
			r.Serve(to(t, app(t, handler)))
			if g := <-got; r.Status != 200 || g != tt.want {
				t.Errorf("h1: status %d, got %+v, want %+v", r.Status, g, tt.want)
			}
			x, r = exchangetest.New(tt.method, "/", tt.option)
			x.Request.Fields.Add("Trailer", "X-Sum")
			x.Request.Trailers.Add("x-sum", "7")
			x.Request.Body = strings.NewReader(tt.want.body)
			r.Serve(to(t, h2cApp(t, http.HandlerFunc(handler))))
			tt.want.te = ""
			if g := <-got; r.Status != 200 || g != tt.want {
				t.Errorf("h2c: status %d, got %+v, want %+v", r.Status, g, tt.want)
			}
		})
	}
}

func TestPostWithoutBodySaysSo(t *testing.T) {
	x, r := exchangetest.New("POST", "/")
	if got := wire(t, x, r); !strings.Contains(got, "\r\nContent-Length: 0\r\n") {
		t.Errorf("%s", got)
	}
}

func TestExpectationOfHTTP10GoesNoFurther(t *testing.T) {
	for protocol, want := range map[exchange.Protocol]bool{exchange.HTTP10: false, exchange.HTTP11: true} {
		x, r := exchangetest.New("GET", "/", exchangetest.Field("Expect", "100-continue"), exchangetest.Protocol(protocol))
		if got := wire(t, x, r); strings.Contains(got, "\r\nExpect: 100-continue\r\n") != want {
			t.Errorf("%v: %s", protocol, got)
		}
	}
}

func TestRequestOverH2C(t *testing.T) {
	got := make(chan *http.Request, 1)
	url := h2cApp(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r }))
	h := to(t, url)
	for _, path := range []string{"/a%2Fb;c=d//e?x=1&&y", "//evil.example/x?", "//a|b"} {
		x, r := exchangetest.New("GET", "/", exchangetest.Field("X-A", "1"))
		x.RawPath, x.RawQuery, x.HasQuery = strings.Cut(path, "?")
		x.AcceptTrailers = true
		r.Serve(h)
		req := <-got
		if req.RequestURI != path || req.Host != "example.com" || req.Header.Get("X-A") != "1" || req.Header.Get("Te") != "trailers" || req.ProtoMajor != 2 {
			t.Errorf("%s: %s %s %s %v", path, req.Proto, req.RequestURI, req.Host, req.Header)
		}
		if req.Header.Get("User-Agent") != "" || req.Header.Get("Accept-Encoding") != "" {
			t.Errorf("invented: %v", req.Header)
		}
	}
}

func TestTargetsOfEveryKind(t *testing.T) {
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	overTLS := httptest.NewTLSServer(hello)
	defer overTLS.Close()
	socket := filepath.Join(t.TempDir(), "app.sock")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	onSocket := &httptest.Server{Listener: ln, Config: &http.Server{Handler: hello}}
	onSocket.Start()
	defer onSocket.Close()
	for _, url := range []string{app(t, hello), h2cApp(t, hello), overTLS.URL, "unix:" + socket} {
		x, r := exchangetest.New("GET", "/")
		r.Serve(to(t, url))
		if r.Status != 200 || r.Body.String() != "hello" || x.Record.Target != url {
			t.Errorf("%s: status %d, reason %q", url, r.Status, x.Record.ErrorReason)
		}
	}
}
