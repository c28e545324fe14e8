package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

func TestAnswerHead(t *testing.T) {
	for _, tt := range []struct {
		name     string
		method   string
		answer   string
		status   int
		length   int64
		body     string
		bodiless bool
	}{
		{"of known length", "GET", "200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, 5, "hello", false},
		{"empty", "GET", "404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, 0, "", false},
		{"chunked", "GET", "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, -1, "hello", false},
		{"until close", "GET", "200 OK\r\n\r\nhello", 200, -1, "hello", false},
		{"HEAD", "HEAD", "200 OK\r\nContent-Length: 5\r\n\r\n", 200, 5, "", true},
		{"HEAD without length", "HEAD", "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, -1, "", true},
		{"204", "GET", "204 No Content\r\n\r\n", 204, -1, "", true},
		{"304", "GET", "304 Not Modified\r\n\r\n", 304, -1, "", true},
		{"304 with a length", "GET", "304 Not Modified\r\nContent-Length: 7\r\n\r\n", 304, 7, "", true},
		{"own status", "GET", "599 Mine\r\nContent-Length: 0\r\n\r\n", 599, 0, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, r := exchangetest.New(tt.method, "/")
			r.Serve(to(t, says(t, "HTTP/1.1 "+tt.answer)))
			if r.Status != tt.status || r.Length != tt.length || r.Body.String() != tt.body || r.Bodiless != tt.bodiless || r.Aborted != nil {
				t.Errorf("status %d, length %d, body %q, bodiless %v, aborted %v", r.Status, r.Length, &r.Body, r.Bodiless, r.Aborted)
			}
			if x.Record.TargetCode != tt.status || x.Record.ErrorReason != "" {
				t.Errorf("record %+v", x.Record)
			}
		})
	}
}

func TestAnswerFields(t *testing.T) {
	x, r := exchangetest.New("GET", "/")
	x.Response.Fields.Add("X-Ours", "1")
	r.Serve(to(t, says(t, "HTTP/1.1 200 OK\r\nServer: theirs\r\nDate: then\r\nconnection: keep-alive, x-private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n"+
		"Proxy-Connection: x\r\nUpgrade: h2c\r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\nX-Latin: caf\xe9\r\nX-Empty:\r\nContent-Length: 2\r\n\r\nok")))
	want := exchange.Fields{
		{Name: "X-Ours", Value: "1"}, {Name: "Server", Value: "theirs"}, {Name: "Date", Value: "then"}, {Name: "set-cookie", Value: "a=1"},
		{Name: "Set-Cookie", Value: "b=2"}, {Name: "X-Latin", Value: "caf\xe9"}, {Name: "X-Empty", Value: ""},
	}
	if len(r.Fields) != len(want) {
		t.Fatalf("%v", r.Fields)
	}
	for i := range want {
		if r.Fields[i] != want[i] {
			t.Errorf("%v, want %v", r.Fields[i], want[i])
		}
	}
}

func TestAnswerTrailers(t *testing.T) {
	answer := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Set-Cookie, Location\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\nX-More: 8\r\n"
	for _, name := range []string{
		"Set-Cookie", "WWW-Authenticate", "Content-Type", "content-range", "Cache-Control", "Location", "X-Request-Id",
		"Access-Control-Allow-Origin", "Strict-Transport-Security", "Connection", "Content-Encoding", "Age", "Host",
	} {
		answer += name + ": bad\r\n"
	}
	answer += "\r\n"
	_, r := exchangetest.New("GET", "/")
	var announced string
	h := to(t, says(t, answer))
	r.Serve(exchange.HandlerFunc(func(x *exchange.Exchange) {
		x.BeforeHead(headHook(func(x *exchange.Exchange) {
			for _, f := range x.Response.Trailers {
				announced += f.Name + ":" + f.Value
			}
		}))
		h.ServeExchange(x)
	}))
	if announced != "X-Sum:" {
		t.Errorf("announced %q", announced)
	}
	if len(r.Trailers) != 2 || r.Trailers.Get("X-Sum") != "7" || r.Trailers.Get("X-More") != "8" {
		t.Errorf("trailers %v", r.Trailers)
	}
}

type headHook func(*exchange.Exchange)

func (f headHook) BeforeHead(x *exchange.Exchange) { f(x) }

func TestInformationalAnswers(t *testing.T) {
	handler := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>")
		w.Header().Set("Connection", "x")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		w.Header().Del("Connection")
		w.WriteHeader(200)
	}
	for _, url := range bothTargets(t, handler) {
		_, r := exchangetest.New("GET", "/")
		r.Serve(to(t, url))
		if len(r.Informational) != 2 || r.Informational[0].Status != 103 || r.Informational[1].Status != 102 ||
			r.Informational[0].Fields.Get("Link") != "</a.css>" || r.Informational[0].Fields.Has("Connection") || r.Status != 200 {
			t.Errorf("%v, status %d", r.Informational, r.Status)
		}
	}
}

func TestExpectationIsTheTargetsToMeet(t *testing.T) {
	for _, accepts := range []bool{true, false} {
		url := app(t, func(w http.ResponseWriter, r *http.Request) {
			if !accepts {
				w.WriteHeader(413)
				return
			}
			_, _ = io.Copy(w, r.Body)
		})
		read := false
		text := strings.NewReader("hello")
		body := readerFunc(func(p []byte) (int, error) {
			read = true
			return text.Read(p)
		})
		_, r := exchangetest.New("POST", "/", exchangetest.Field("Expect", "100-continue"), exchangetest.BodyFrom(body, 5))
		r.Serve(to(t, url))
		if read != accepts || accepts && r.Body.String() != "hello" || !accepts && r.Status != 413 {
			t.Errorf("accepts %v: read %v, status %d, body %q", accepts, read, r.Status, &r.Body)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestUnknownLengthIsFlushedAtOnce(t *testing.T) {
	for head, flushed := range map[string]string{
		"Content-Type: text/plain\r\n":                                            "|first|first2nd..",
		"Content-Type: text/event-stream;charset=utf-8\r\nContent-Length: 10\r\n": "|first", // and what comes last leaves with the end
	} {
		next := make(chan string)
		url := raw(t, func(_ int, c net.Conn, r *bufio.Reader) {
			readHead(r)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+head+"\r\n")
			for s := range next {
				_, _ = io.WriteString(c, s)
			}
		})
		_, r := exchangetest.New("GET", "/")
		var seen []string
		r.OnFlush = func() { // each part is sent only when the visitor has the one before
			seen = append(seen, r.Body.String())
			switch len(seen) {
			case 1:
				next <- "first"
			case 2:
				next <- "2nd.."
				close(next)
			}
		}
		r.Serve(to(t, url))
		if got := strings.Join(seen, "|"); got != flushed || r.Body.String() != "first2nd.." {
			t.Errorf("%q, %q", got, r.Body.String())
		}
	}
}

func TestStickyCookieGoesToTheVisitorAndBack(t *testing.T) {
	who := func(name string) string {
		return app(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Set-Cookie", "theirs=1")
			_, _ = io.WriteString(w, name)
		})
	}
	sticky := config.TargetGroup{Stickiness: &config.Stickiness{Cookie: "EDGESESSION", For: 3600e9}}
	h, _ := toGroup(t, sticky, who("a"), who("b"))
	_, r := exchangetest.New("GET", "/")
	r.Serve(h)
	first := r.Body.String()
	cookie := ""
	for v := range r.Fields.Values("Set-Cookie") {
		if strings.HasPrefix(v, "EDGESESSION=") {
			cookie, _, _ = strings.Cut(v, ";")
		}
	}
	if cookie == "" {
		t.Fatalf("no cookie in %v", r.Fields)
	}
	for range 4 {
		_, r := exchangetest.New("GET", "/", exchangetest.Field("Cookie", "x=y; "+cookie))
		r.Serve(h)
		if r.Body.String() != first {
			t.Error("another target than the first time")
		}
	}
}
