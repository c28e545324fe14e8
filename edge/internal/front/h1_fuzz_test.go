package front

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// A tape is a connection that plays bytes, a few at a time, and forgets what it is told.
type tape struct {
	net.Conn
	bytes []byte
	step  int
}

func (t *tape) Read(p []byte) (int, error) {
	if len(t.bytes) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), t.step)], t.bytes)
	t.bytes = t.bytes[n:]
	return n, nil
}

func (*tape) Write(p []byte) (int, error)      { return len(p), nil }
func (*tape) Close() error                     { return nil }
func (*tape) RemoteAddr() net.Addr             { return nil }
func (*tape) LocalAddr() net.Addr              { return nil }
func (*tape) SetDeadline(time.Time) error      { return nil }
func (*tape) SetReadDeadline(time.Time) error  { return nil }
func (*tape) SetWriteDeadline(time.Time) error { return nil }

// A meaning is what a server takes a request for.
type meaning struct {
	Method, Target, Host, Body string
	Fields, Trailers           []string
}

// front plays raw to the front and returns what it took for whole requests.
func (m *meanings) front(s *Server, raw []byte, step int) {
	s.handler = exchange.HandlerFunc(func(x *exchange.Exchange) {
		b, err := io.ReadAll(x.Body)
		if err != nil {
			return // answered 400, and nothing follows
		}
		target := x.RawPath
		if x.HasQuery {
			target += "?" + x.RawQuery
		}
		*m = append(*m, meaning{strings.Clone(x.Method), strings.Clone(target), strings.Clone(x.Host), string(b), fieldList(x.Fields), fieldList(x.Trailers)})
	})
	l := newLine(s, &tape{bytes: raw, step: step})
	newH1(s, l, l, nil).serve()
}

type meanings []meaning

// reference reads n requests with net/http.
func (m *meanings) reference(t *testing.T, raw []byte, n int) {
	r := bufio.NewReader(bytes.NewReader(raw))
	for i := range n {
		req, err := http.ReadRequest(r)
		if err != nil {
			t.Fatalf("request %d of %q: net/http says %v", i, raw, err)
		}
		b, err := io.ReadAll(req.Body)
		if err != nil {
			t.Fatalf("body %d of %q: net/http says %v", i, raw, err)
		}
		target := req.URL.EscapedPath()
		if target == "" { // RFC 9112, section 3.2.4
			target = "/"
			if req.Method == "OPTIONS" && req.URL.RawQuery == "" && !req.URL.ForceQuery {
				target = "*"
			}
		}
		if req.URL.RawQuery != "" || req.URL.ForceQuery {
			target += "?" + req.URL.RawQuery
		}
		*m = append(*m, meaning{req.Method, target, req.Host, string(b), headerList(req.Header), headerList(req.Trailer)})
	}
}

func fieldList(fields exchange.Fields) (list []string) {
	for _, f := range fields {
		list = add(list, f.Name, f.Value)
	}
	slices.Sort(list)
	return list
}

func headerList(h http.Header) (list []string) {
	for name, values := range h {
		for _, v := range values {
			list = add(list, name, v)
		}
	}
	slices.Sort(list)
	return list
}

// add leaves out what one of the two keeps elsewhere: net/http Host, Trailer and an added Cache-Control, the front
// framing, and trailers that have no business there.
func add(list []string, name, value string) []string {
	switch name = textproto.CanonicalMIMEHeaderKey(name); {
	case name == "Cache-Control" || name == "Pragma" || dropsTrailer(name):
		return list
	}
	return append(list, name+": "+value)
}

// escaped gives the target of both the same spelling: net/http keeps it decoded.
func escaped(t *testing.T, m meaning) string {
	path, query, found := strings.Cut(m.Target, "?")
	req, err := http.NewRequest("GET", "http://x"+path, nil)
	if path == "*" {
		return m.Target
	}
	if err != nil {
		t.Fatalf("path %q: %v", path, err)
	}
	path = req.URL.EscapedPath()
	if found {
		path += "?" + query
	}
	return path
}

// FuzzRequest holds the front against net/http on the same bytes: what the front accepts, net/http accepts and
// understands alike, request after request.
func FuzzRequest(f *testing.F) {
	for _, c := range refused {
		f.Add([]byte(c.raw), uint8(0))
	}
	for _, raw := range []string{
		get(), get("A: b", "c: d") + get(),
		requestLine("OPTIONS * HTTP/1.1"), requestLine("GET http://A.test?x HTTP/1.1"), requestLine("GET //b/%2f?# HTTP/1.1"),
		post("Content-Length: 3") + "abc" + get(),
		post("Transfer-Encoding: chunked") + "3\r\nabc\r\n00a;x=\"y\"\r\n0123456789\r\n0\r\n\r\n" + get(),
		post("Transfer-Encoding: chunked", "Trailer: A") + "1\r\nx\r\n0\r\nA: 1\r\nHost: b\r\n\r\n" + get(),
		post("Content-Length: 3", "Expect: 100-continue") + "abc",
		"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx" + get(),
		get("Connection: close") + get(),
		get("Connection: upgrade", "Upgrade: websocket"),
	} {
		f.Add([]byte(raw), uint8(3))
	}
	s := New(Options{Log: slog.New(slog.DiscardHandler)})
	f.Fuzz(func(t *testing.T, raw []byte, step uint8) {
		var ours, theirs meanings
		ours.front(s, bytes.Clone(raw), int(step)+1)
		theirs.reference(t, raw, len(ours))
		for i := range ours {
			a, b := ours[i], theirs[i]
			a.Target, b.Target = escaped(t, a), escaped(t, b)
			if a.Method != b.Method || a.Target != b.Target || !strings.EqualFold(a.Host, b.Host) || a.Body != b.Body ||
				!slices.Equal(a.Fields, b.Fields) || !slices.Equal(a.Trailers, b.Trailers) {
				t.Errorf("request %d of %q\nfront:    %+v\nnet/http: %+v", i, raw, a, b)
			}
		}
	})
}

// FuzzChunked does the same with nothing but a chunked body, and checks that its reader never gives what follows it.
func FuzzChunked(f *testing.F) {
	for _, raw := range []string{
		"0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\nrest", "A;b=c\r\n0123456789\r\n000\r\nT: u\r\n\r\n", "3\nabc\n0\n\n", "3\r\nabcd\r\n0\r\n\r\n",
		"-1\r\n", "ffffffffffffffff\r\n", "1\r\na\r\n1\r\nb\r\n0\r\nTransfer-Encoding: x\r\n\r\n", "3;\r\nabc\r\n0\r\n\r\n", "0\r\n A: b\r\n\r\n",
	} {
		f.Add([]byte(raw), uint8(0))
	}
	s := New(Options{Log: slog.New(slog.DiscardHandler)})
	head := []byte(post("Transfer-Encoding: chunked"))
	f.Fuzz(func(t *testing.T, raw []byte, step uint8) {
		l := newLine(s, &tape{bytes: bytes.Clone(raw), step: int(step) + 1})
		h := newH1(s, l, l, nil)
		h.in.Borrow(&s.pools.in)
		h.x.Reset(h)
		got, err := io.ReadAll(newBody(h, -1))
		if err != nil {
			if !errors.Is(err, exchange.ErrMalformedBody) && !errors.Is(err, exchange.ErrClientGone) {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		left := len(l.Conn.(*tape).bytes) + len(h.in.Unread())
		r := bufio.NewReader(bytes.NewReader(append(bytes.Clone(head), raw...)))
		req, err := http.ReadRequest(r)
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(req.Body)
		rest, _ := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want) || left != len(rest) {
			t.Errorf("%q: front %q and %d bytes after it, net/http %q, %v and %d", raw, got, left, want, err, len(rest))
		}
	})
}
