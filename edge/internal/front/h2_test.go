package front

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	"github.com/onehost/edge/edge/internal/exchange"
)

func TestWhatAnH2ExchangeKnows(t *testing.T) {
	t.Parallel()
	got := make(chan exchange.Request, 1)
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		r := x.Request
		r.Fields = r.Fields.Clone()
		got <- r
	})
	f := h.frames()
	f.head(1, true, ":path", "/a%2fB//c;d?e=%20&f?", ":authority", "A.test:81",
		"x-b", "2", "cookie", "a=b", "te", "trailers", "x-a", "1", "cookie", "c=d", "x-b", "1")
	f.answer(1)
	r := <-got
	if r.Protocol != exchange.HTTP2 || r.Method != "GET" || r.Scheme != "https" || r.Host != "A.test:81" || r.Hostname != "a.test" {
		t.Errorf("%v %s %s %s %s", r.Protocol, r.Method, r.Scheme, r.Host, r.Hostname)
	}
	if r.RawPath != "/a%2fB//c;d" || r.RawQuery != "e=%20&f?" || !r.HasQuery {
		t.Errorf("%q, %q, %v", r.RawPath, r.RawQuery, r.HasQuery)
	}
	want := exchange.Fields{{Name: "Cookie", Value: "a=b; c=d"}, {Name: "Te", Value: "trailers"}, {Name: "X-A", Value: "1"}, {Name: "X-B", Value: "2"}, {Name: "X-B", Value: "1"}}
	if !reflect.DeepEqual(r.Fields, want) {
		t.Errorf("%v", r.Fields)
	}
	if r.Length != 0 || r.Body != exchange.NoBody || !r.AcceptTrailers || r.Upgrade != "" {
		t.Errorf("length %d, trailers %v, upgrade %q", r.Length, r.AcceptTrailers, r.Upgrade)
	}
	if r.TLS == nil || r.TLS.NegotiatedProtocol != "h2" || r.Peer.String() != f.conn.LocalAddr().String() || r.Local.String() != h.address {
		t.Errorf("%v, %v, %v", r.TLS, r.Peer, r.Local)
	}
}

var h2Refused = []struct {
	name   string
	fields []string
	reason string
	status int
}{
	{"CONNECT", []string{":method", "CONNECT", ":scheme", "-", ":path", "-"}, ReasonMethodRefused, 405},
	{"CONNECT with a path", []string{":method", "CONNECT"}, "", 0}, // 0: x/net resets
	{"TRACE", []string{":method", "TRACE"}, ReasonMethodRefused, 405},
	{"method with a space", []string{":method", "GET /admin HTTP/1.1"}, ReasonBadMethod, 400},
	{"method with a colon", []string{":method", "A:B"}, ReasonBadMethod, 400},
	{"path with a space", []string{":path", "/ HTTP/1.1"}, ReasonSpaceInURI, 400},
	{"path with a fragment", []string{":path", "/#a"}, ReasonBadURI, 400},
	{"path with a broken escape", []string{":path", "/a%2"}, "", 0},
	{"path without a slash", []string{":path", "a"}, "", 0},
	{"a whole URL", []string{":path", "https://a.test/"}, "", 0},
	{"empty path", []string{":path", ""}, "", 0},
	{"star of GET", []string{":path", "*"}, ReasonBadURI, 400},
	{"another scheme", []string{":scheme", "http"}, ReasonHostMismatch, 400},
	{"no authority", []string{":authority", "-"}, ReasonMissingHost, 400},
	{"bad authority", []string{":authority", "a_.test-"}, ReasonBadHost, 400},
	{"authority with a path", []string{":authority", "a.test/b"}, "", 0},
	{"userinfo", []string{":authority", "u@a.test"}, "", 0},
	{"another host", []string{"host", "b.test"}, "", 0},
	{"two hosts", []string{"host", "a.test", "host", "a.test"}, "", 0},
	{"line break in a value", []string{"a", "b\r\nc: d"}, "", 0},
	{"NUL in a value", []string{"a", "b\x00"}, "", 0},
	{"space before a value", []string{"a", " b"}, ReasonNonCompliantHeader, 400},
	{"tab after a value", []string{"a", "b\t"}, ReasonNonCompliantHeader, 400},
	{"upper case", []string{"A", "b"}, "", 0},
	{"colon in a name", []string{"a:b", "c"}, "", 0},
	{"space in a name", []string{"a b", "c"}, "", 0},
	{"empty name", []string{"", "c"}, "", 0},
	{"Connection", []string{"connection", "close"}, "", 400},
	{"Transfer-Encoding", []string{"transfer-encoding", "chunked"}, "", 400},
	{"Upgrade", []string{"upgrade", "websocket"}, "", 400},
	{"TE", []string{"te", "gzip"}, "", 400},
	{"Transfer_Encoding", []string{"transfer_encoding", "chunked"}, ReasonSuspiciousHeader, 400},
	{"another expectation", []string{"expect", "200-ok"}, ReasonUnknownExpectation, 417},
	{"length without a body", []string{":method", "POST", "content-length", "3"}, ReasonBadContentLength, 400},
	{"bad length", []string{":method", "POST", "content-length", "three"}, ReasonBadContentLength, 400},
	{"negative nothing", []string{":method", "POST", "content-length", "-0"}, ReasonBadContentLength, 400},
	{"two lengths", []string{":method", "POST", "content-length", "0", "content-length", "0"}, ReasonDuplicateLength, 400},
	{"path too long", []string{":path", "/" + repeat("a", 16<<10)}, ReasonRequestLineTooLong, 414},
	{"field too long", []string{"a", repeat("a", 16<<10)}, ReasonFieldTooLong, 431},
	{"head too long", strings.Split(strings.TrimSuffix(repeat("a,"+repeat("b", 8000)+",", 9), ","), ","), ReasonHeadTooLong, 431},
	{"head far too long", strings.Split(strings.TrimSuffix(repeat("a,"+repeat("b", 8000)+",", 18), ","), ","), "", 431},
	{"too many fields", strings.Split(strings.TrimSuffix(repeat("a,b,", 101), ","), ","), ReasonTooManyFields, 431},
}

func TestH2Refused(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		t.Errorf("%s %s became an exchange", x.Method, x.RawPath)
	})
	for _, c := range h2Refused {
		t.Run(c.name, func(t *testing.T) {
			before := len(h.refusals())
			f := h.frames()
			f.t = t
			f.head(1, true, c.fields...)
			a := f.answer(1)
			if c.status == 0 {
				if a.reset != http2.ErrCodeProtocol || a.status != "" {
					t.Errorf("answered %+v, want a reset", a)
				}
				return
			}
			if a.status != fmt.Sprint(c.status) || !a.whole {
				t.Fatalf("answered %+v, want %d", a, c.status)
			}
			got := h.refusals()[before:]
			if c.reason == "" {
				return
			}
			if a.fields.Get("x-request-id") != "id-of-refusal" || a.fields.Get("content-type") != "application/problem+json" {
				t.Errorf("fields %v", a.fields)
			}
			if len(got) != 1 || got[0].Reason != c.reason || got[0].Status != c.status || !got[0].Secure || got[0].Peer.String() != f.conn.LocalAddr().String() {
				t.Errorf("refusals noted: %+v, want %s", got, c.reason)
			}
		})
	}
}

func TestABodyOfGET(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{}, func(x *exchange.Exchange) { text(fmt.Sprint(x.Request.Length))(x) })
	f := h.frames()
	f.head(1, false)
	f.check(f.WriteData(1, true, nil))
	if a := f.answer(1); a.body != "0" {
		t.Errorf("ended after the head: %+v", a)
	}
	f.head(3, false)
	f.check(f.WriteData(3, true, []byte("a")))
	if a := f.answer(3); a.status != "400" || h.refusals()[0].Reason != ReasonUndefinedLength {
		t.Errorf("with a body: %+v", a)
	}
	f.head(5, false, "content-length", "1")
	if a := f.answer(5); a.status != "400" {
		t.Errorf("with a declared body: %+v", a)
	}
	f.head(7, true, "accept", "text/html", ":method", "TRACE")
	if a := f.answer(7); a.status != "405" || a.fields.Get("allow") == "" || !strings.HasPrefix(a.body, "<!doctype html>") {
		t.Errorf("for a browser: %+v", a)
	}
}

func TestH2Bodies(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		b, err := io.ReadAll(x.Body)
		text(fmt.Sprintf("%d %s %v %v", x.Request.Length, b, err, x.Trailers))(x)
	})
	for name, c := range map[string]struct {
		send func(f *frames)
		body string
	}{
		"declared": {func(f *frames) {
			f.head(1, false, ":method", "POST", "content-length", "5")
			f.check(f.WriteData(1, false, []byte("he")))
			f.check(f.WriteDataPadded(1, true, []byte("llo"), make([]byte, 9)))
		}, "5 hello <nil> []"},
		"declared, ended later": {func(f *frames) {
			f.head(1, false, ":method", "POST", "content-length", "5")
			f.check(f.WriteData(1, false, []byte("hello")))
			f.check(f.WriteData(1, true, nil))
		}, "5 hello <nil> []"},
		"undeclared": {func(f *frames) {
			f.head(1, false, ":method", "POST")
			f.check(f.WriteData(1, true, []byte("hello")))
		}, "-1 hello <nil> []"},
		"announced trailers": {func(f *frames) {
			f.head(1, false, ":method", "POST", "trailer", "x-b, x-a, authorization")
			f.check(f.WriteData(1, false, []byte("hello")))
			f.head(1, true, ":method", "-", ":scheme", "-", ":path", "-", ":authority", "-", "x-a", "1", "x-b", "2", "x-c", "3")
		}, "-1 hello <nil> [{X-A 1} {X-B 2}]"},
		"too short": {func(f *frames) {
			f.head(1, false, ":method", "POST", "content-length", "5")
			f.check(f.WriteData(1, true, []byte("he")))
		}, "5 he malformed request body []"},
	} {
		t.Run(name, func(t *testing.T) {
			f := h.frames()
			f.t = t
			c.send(f)
			if a := f.answer(1); a.body != c.body || !a.whole {
				t.Errorf("%+v", a)
			}
		})
	}
	t.Run("too long", func(t *testing.T) {
		f := h.frames()
		f.t = t
		f.head(1, false, ":method", "POST", "content-length", "1")
		f.check(f.WriteData(1, true, []byte("hello")))
		if a := f.answer(1); a.reset != http2.ErrCodeProtocol {
			t.Errorf("%+v", a)
		}
	})
}

func TestH2Continue(t *testing.T) {
	t.Parallel()
	read := func(x *exchange.Exchange) { _ = x.SendInformational(100, nil); echo(x) }
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		if x.Fields.Has("Expect") {
			t.Error("Expect is left to the handler")
		}
		if x.RawPath == "/read" {
			read(x)
		}
	})
	f := h.frames()
	f.head(1, false, ":method", "POST", ":path", "/read", "expect", "100-continue")
	if m := nextOf[*http2.MetaHeadersFrame](f); m.PseudoValue("status") != "100" {
		t.Fatalf("%v", m)
	}
	f.check(f.WriteData(1, true, []byte("body")))
	if a := f.answer(1); a.body != "POST /read body" || len(a.hints) > 0 {
		t.Errorf("%+v", a)
	}
	f.head(3, false, ":method", "POST", "expect", "100-continue")
	if a := f.answer(3); a.status != "200" || len(a.hints) > 0 {
		t.Errorf("the body was not wanted: %+v", a)
	}
	f.head(5, false, ":method", "POST", ":path", "/read")
	f.check(f.WriteData(5, true, nil))
	if a := f.answer(5); a.status != "200" || len(a.hints) > 0 {
		t.Errorf("no 100 was asked for: %+v", a)
	}
}

func TestLargeH2Bodies(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		x.Response.Length = x.Request.Length
		if _, err := io.Copy(x, x.Body); err != nil {
			t.Error(err)
		}
	})
	body := make([]byte, 4<<20)
	_, _ = rand.Read(body)
	r, err := h.client(exchange.HTTP2).Post(h.url("/"), "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, body) || r.ContentLength != int64(len(body)) {
		t.Errorf("%d bytes of %d came back, %v", len(got), r.ContentLength, err)
	}
}

func TestManyH2Streams(t *testing.T) {
	t.Parallel()
	const streams = 100
	var together sync.WaitGroup
	together.Add(streams)
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		if x.Method == "POST" {
			together.Done()
			together.Wait()
		}
		echo(x)
	})
	client := h.client(exchange.HTTP2)
	if r, err := client.Get(h.url("/")); err != nil { // or each request dials
		t.Fatal(err)
	} else {
		r.Body.Close()
	}
	var all sync.WaitGroup
	for i := range streams {
		all.Go(func() {
			path, body := fmt.Sprint("/", i), repeat(fmt.Sprint(i), 1000)
			r, err := client.Post(h.url(path), "", strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Body.Close()
			if b, err := io.ReadAll(r.Body); err != nil || string(b) != "POST "+path+" "+body {
				t.Errorf("%q, %v", short(string(b)), err)
			}
		})
	}
	all.Wait()
	if c := h.server.Connections(); c.HTTP2 != 1 || c.Accepted != 1 {
		t.Errorf("%+v", c)
	}
}

func TestTooManyH2Streams(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	h := start(t, true, Limits{Streams: 2}, func(x *exchange.Exchange) { <-release })
	f := h.frames()
	for stream := uint32(1); stream <= 5; stream += 2 {
		f.head(stream, true)
	}
	if a := f.answer(5); a.reset != http2.ErrCodeProtocol {
		t.Errorf("%+v", a)
	}
	close(release)
	if a := f.answer(1); a.status != "200" {
		t.Errorf("%+v", a)
	}
}

// Resets do not make room for more handlers than streams (CVE-2023-44487), and too many of them end the connection.
func TestRapidReset(t *testing.T) {
	t.Parallel()
	var running, most atomic.Int64
	release := make(chan struct{})
	h := start(t, true, Limits{Streams: 8}, func(*exchange.Exchange) {
		for n := running.Add(1); n > most.Load(); {
			most.Store(n)
		}
		<-release
		running.Add(-1)
	})
	f := h.frames()
	go func() {
		for stream := uint32(1); ; stream += 2 {
			f.block.Reset()
			block := []byte{0x82, 0x84, 0x87, 0x41, 0x01, 'a'} // GET / https, authority a
			if f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block, EndStream: true, EndHeaders: true}) != nil {
				return
			}
			if f.WriteRSTStream(stream, http2.ErrCodeCancel) != nil {
				return
			}
		}
	}()
	if g := nextOf[*http2.GoAwayFrame](f); g.ErrCode != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("%v", g)
	}
	close(release)
	f.end()
	waitFor(t, func() bool { return h.server.Connections().Open == 0 })
	if most.Load() > 8 || running.Load() != 0 {
		t.Errorf("%d handlers at a time, %d still run", most.Load(), running.Load())
	}
}

// untilGone thinks, reads or writes until the visitor has gone, and tells by what error it learned that.
func untilGone(x *exchange.Exchange, doing string, began chan<- struct{}) (err error) {
	ctx := x.Context()
	close(began)
	switch doing {
	case "thinking":
		<-ctx.Done()
		err = context.Cause(ctx)
	case "reading":
		_, err = io.ReadAll(x.Body)
	case "writing":
		for err == nil {
			_, err = x.Write(make([]byte, 1<<20))
		}
	}
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, exchange.ErrClientGone) {
		err = fmt.Errorf("cause is %w", cause)
	}
	return err
}

func TestH2ClientGone(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*frames){
		"reset":             func(f *frames) { f.check(f.WriteRSTStream(1, http2.ErrCodeCancel)) },
		"connection closed": func(f *frames) { f.conn.Close() },
	} {
		for _, doing := range []string{"thinking", "reading", "writing"} {
			t.Run(name+" while "+doing, func(t *testing.T) {
				began, done := make(chan struct{}), make(chan error, 1)
				h := start(t, true, Limits{}, func(x *exchange.Exchange) { done <- untilGone(x, doing, began) })
				f := h.frames()
				f.t = t
				f.head(1, false, ":method", "POST")
				<-began
				leave(f)
				if err := <-done; !errors.Is(err, exchange.ErrClientGone) {
					t.Error(err)
				}
			})
		}
	}
}

func TestH2ContextEndsWithItsExchange(t *testing.T) {
	t.Parallel()
	ctx := make(chan context.Context, 1)
	h := start(t, true, Limits{}, func(x *exchange.Exchange) { ctx <- x.Context() })
	f := h.frames()
	f.head(1, true)
	f.answer(1)
	c := <-ctx
	<-c.Done()
	if cause := context.Cause(c); errors.Is(cause, exchange.ErrClientGone) {
		t.Errorf("cause is %v", cause)
	}
}
