package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/onehost/edge/edge/internal/exchange"
)

func TestAnswerHeads(t *testing.T) {
	for _, c := range []struct {
		head, want string
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\n", "200 [{A b}] 5 chunked=false close=false"},
		{"HTTP/1.1 204\r\n\r\n", "204 [] -1 chunked=false close=false"},
		{"HTTP/1.1 200 \r\nTransfer-Encoding: Chunked\r\n\r\n", "200 [] -1 chunked=true close=false"},
		{"HTTP/1.0 200 OK\r\n\r\n", "200 [] -1 chunked=false close=true"},
		{"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n", "200 [] 0 chunked=false close=false"},
		{"HTTP/1.1 200 OK\r\nConnection: x-a ,close\r\nX-A: 1\r\nx-b: \t2 \r\n\r\n", "200 [{x-b 2}] -1 chunked=false close=true"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n", "200 [] 5 chunked=false close=false"},
		{"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "204 [] 5 chunked=false close=true"},
		{"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", "204 [] -1 chunked=true close=true"},
		{"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "204 [] 0 chunked=false close=false"},
		{"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "304 [] 5 chunked=false close=false"},
		{"HTTP/1.1 200 OK\r\nA:\r\nB: \t \r\nC:\t c d\t \r\n\r\n", "200 [{A } {B } {C c d}] -1 chunked=false close=false"},
		{"HTTP/1.1 418 I'm a \xe9 teapot\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nKeep-Alive: timeout=5\r\n\r\n", "418 [{Set-Cookie a} {Set-Cookie b}] -1 chunked=false close=false"},
	} {
		var a Answer
		if err := a.Parse(c.head); err != nil {
			t.Errorf("%q: %v", c.head, err)
			continue
		}
		if got := fmt.Sprint(a.Status, a.Fields, a.Length, fmt.Sprintf(" chunked=%t close=%t", a.Chunked, a.Close)); strings.Join(strings.Fields(got), " ") != c.want {
			t.Errorf("%q: %s, want %s", c.head, got, c.want)
		}
	}
}

// junk is answers that are none, or several.
var junk = []string{
	"\r\n\r\n", "HTTP/1.1 200 OK\n\n", "HTTP/1.1 200 OK\r\nA: b\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\r\n\r\n",
	"HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.2 200 OK\r\n\r\n", "ICY 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000\r\n\r\n",
	"HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1 -10 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1 600 OK\r\n\r\n", "HTTP/1.1 200 O\x00K\r\n\r\n", " HTTP/1.1 200 OK\r\n\r\n",
	"HTTP/1.1 200OK\r\n\r\n", "HTTP/1.1 200\tOK\r\n\r\n", "HTTP/1.1 200 O\rK\r\n\r\n", "HTTP/1.1 2 0 OK\r\n\r\n", "http/1.1 200 OK\r\n\r\n", "HTTP/1.1\r\n\r\n", "\r\nHTTP/1.1 200 OK\r\n\r\n",
	"HTTP/1.1 200 OK\r\nA:b\rc\r\n\r\n", "HTTP/1.1 200 OK\r\nA\x00: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA\tB: c\r\n\r\n", "HTTP/1.1 200 OK\r\n\xc3\xa4: c\r\n\r\n", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 05x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5 5\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: \r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n",
	"HTTP/1.1 200 OK\r\nA\r\n\r\n", "HTTP/1.1 200 OK\r\n: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\x01\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
	"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	"HTTP/1.1 200 OK\r\nConnection: " + strings.Repeat("a,", 40) + "\r\n\r\n", "HTTP/1.1 200 OK\r\n" + strings.Repeat("a: b\r\n", 300) + "\r\n",
}

func TestJunkIsNoAnswer(t *testing.T) {
	for _, raw := range junk {
		if _, _, err := read("GET", []byte(raw), 1); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.100q: %v", raw, err)
		}
	}
}

// trailers takes trailers as they come.
type trailers struct{ exchange.Fields }

func (t *trailers) Trailer(name, value string) error    { t.Add(name, value); return nil }
func (*trailers) TrailerLimits() (line, all, count int) { return 1 << 10, 4 << 10, 20 }

// whole is an answer with its body, as far as both readers see it.
type whole struct {
	status   int
	length   int64
	fields   []string
	body     string
	trailers []string
	rest     string // what follows it
}

// read reads an answer to a request in steps of so many bytes.
func read(method string, raw []byte, step int) (w whole, head string, err error) {
	pool := Buffers{Size: 64}
	in := Input{From: &steps{raw, step}}
	in.Borrow(&pool)
	size, next := 0, 0
	for size == 0 {
		if size, next, err = FindHead(in.Unread(), next); err != nil {
			return w, "", err
		}
		if size == 0 {
			if err := in.Fill(4 << 10); err != nil {
				return w, "", err
			}
		}
	}
	head = string(in.Unread()[:size])
	var a Answer
	if err := a.Parse(head); err != nil {
		return w, head, err
	}
	in.Skip(size)
	w = whole{status: a.Status, length: a.Length, fields: list(a.Fields)}
	var body []byte
	switch {
	case method == "HEAD" || a.Status < 200 || a.Status == 204 || a.Status == 304:
	case a.Chunked:
		var c Chunks
		var tail trailers
		c.Reset(&in, &tail)
		body, err = io.ReadAll(&c)
		w.trailers = list(tail.Fields)
	case a.Length >= 0:
		body, err = io.ReadAll(io.LimitReader(&in, a.Length))
		if int64(len(body)) < a.Length {
			err = io.ErrUnexpectedEOF
		}
	default:
		body, err = io.ReadAll(&in)
	}
	w.body = string(body)
	rest, _ := io.ReadAll(&in)
	w.rest = string(rest)
	return w, head, err
}

// steps gives a few bytes at a time.
type steps struct {
	b    []byte
	step int
}

func (s *steps) Read(p []byte) (int, error) {
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.step)], s.b)
	s.b = s.b[n:]
	return n, nil
}

func list(fields exchange.Fields) (l []string) {
	for _, f := range fields {
		l = append(l, http.CanonicalHeaderKey(f.Name)+": "+f.Value)
	}
	slices.Sort(l)
	return l
}

func headerList(h http.Header) (l []string) {
	for name, values := range h {
		for _, v := range values {
			if !exchange.IsFraming(name) && name != "Proxy-Authenticate" {
				l = append(l, name+": "+v)
			}
		}
	}
	slices.Sort(l)
	return l
}

// FuzzAnswer: what we take for an answer net/http takes for the same one.
func FuzzAnswer(f *testing.F) {
	for _, raw := range append(junk,
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\nrest", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nEtag: \"a\"\r\n\r\n",
		"HTTP/1.0 200 OK\r\n\r\nuntil the end", "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
		"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\nContent-Length: 007\r\n\r\nhello, you", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\ntransfer-encoding:chunked\r\n\r\n1\r\na\r\nA;b=\"c;d\"\r\n0123456789\r\n00\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n0\r\nA:\r\nB: 5\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n a: b\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n",
	) {
		f.Add([]byte(raw), uint8(0), false)
		f.Add([]byte(raw), uint8(255), true)
	}
	f.Fuzz(func(t *testing.T, raw []byte, step uint8, isHead bool) {
		method := map[bool]string{true: "HEAD", false: "GET"}[isHead]
		got, head, err := read(method, raw, int(step)+1)
		if err != nil || strings.Contains(strings.ToLower(head), "\r\nconnection:") { // fields that it names are net/http's callers' business
			return
		}
		r := bufio.NewReader(iotest.HalfReader(bytes.NewReader(raw)))
		want, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%q: net/http says %v", raw, err)
		}
		body, err := io.ReadAll(want.Body)
		rest, _ := io.ReadAll(r)
		if err != nil || got.status != want.StatusCode || got.body != string(body) || got.rest != string(rest) ||
			!slices.Equal(got.fields, headerList(want.Header)) || !slices.Equal(got.trailers, headerList(want.Trailer)) {
			t.Errorf("%q:\nours     %+v\nnet/http %d %v %q %v %q, %v", raw, got, want.StatusCode, want.Header, body, want.Trailer, rest, err)
		}
	})
}

func TestParsingAnAnswerDoesNotAllocate(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\nServer: app\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 1024\r\nConnection: keep-alive\r\nCache-Control: no-cache\r\nDate: Mon, 23 Nov 2026 10:00:00 GMT\r\n\r\n"
	a := Answer{Fields: make(exchange.Fields, 0, 16)}
	if n := testing.AllocsPerRun(100, func() {
		a.Fields = a.Fields[:0]
		if a.Parse(head) != nil {
			t.Error("not an answer")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAnswer(b *testing.B) {
	head := "HTTP/1.1 200 OK\r\nServer: app\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 1024\r\nConnection: keep-alive\r\nCache-Control: no-cache\r\nDate: Mon, 23 Nov 2026 10:00:00 GMT\r\n\r\n"
	a := Answer{Fields: make(exchange.Fields, 0, 16)}
	b.ReportAllocs()
	for b.Loop() {
		a.Fields = a.Fields[:0]
		if a.Parse(head) != nil {
			b.Fatal("not an answer")
		}
	}
}
