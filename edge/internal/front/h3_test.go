package front

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/onehost/edge/edge/internal/exchange"
)

func TestWhatAnH3ExchangeKnows(t *testing.T) {
	t.Parallel()
	got := make(chan exchange.Request, 1)
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		r := x.Request
		r.Fields = r.Fields.Clone()
		got <- r
	})
	v := h.visitH3()
	v.ask(true, ":path", "/a%2fB//c;d?e=%20&f?", ":authority", "A.test:81",
		"x-b", "2", "cookie", "a=b", "te", "trailers", "x-a", "1", "cookie", "c=d", "x-b", "1", "host", "A.test:81").answer()
	r := <-got
	if r.Protocol != exchange.HTTP3 || r.Method != "GET" || r.Scheme != "https" || r.Host != "A.test:81" || r.Hostname != "a.test" {
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
	if r.TLS == nil || r.TLS.NegotiatedProtocol != "h3" || r.Peer.Port() != addrPort(v.conn.LocalAddr()).Port() || r.Local.String() != h.quic() {
		t.Errorf("%v, %v, %v", r.TLS, r.Peer, r.Local)
	}
}

func TestH3Refused(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		t.Errorf("%s %s became an exchange", x.Method, x.RawPath)
	})
	v := h.visitH3()
	for _, c := range []struct {
		name   string
		fields []string
		reason string
		status int // 0: quic-go resets the stream
	}{
		{"CONNECT", []string{":method", "CONNECT", ":scheme", "-", ":path", "-"}, ReasonMethodRefused, 405},
		{"TRACE", []string{":method", "TRACE"}, ReasonMethodRefused, 405},
		{"method with a space", []string{":method", "GET /admin HTTP/1.1"}, "", 0},
		{"path with a space", []string{":path", "/ HTTP/1.1"}, ReasonSpaceInURI, 400},
		{"path with a fragment", []string{":path", "/#a"}, ReasonBadURI, 400},
		{"path with a broken escape", []string{":path", "/a%2"}, "", 0},
		{"path without a slash", []string{":path", "a"}, "", 0},
		{"a whole URL", []string{":path", "https://a.test/"}, "", 0},
		{"star of GET", []string{":path", "*"}, "", 0},
		{"no authority", []string{":authority", "-"}, "", 0},
		{"bad authority", []string{":authority", "a_.test-"}, ReasonBadHost, 400},
		{"authority with a path", []string{":authority", "a.test/b"}, ReasonBadHost, 400},
		{"userinfo", []string{":authority", "u@a.test"}, "", 0},
		{"another host", []string{"host", "b.test"}, "", 0},
		{"two hosts", []string{"host", "a.test", "host", "a.test"}, "", 0},
		{"line break in a value", []string{"a", "b\r\nc: d"}, "", 0},
		{"NUL in a value", []string{"a", "b\x00"}, "", 0},
		{"space before a value", []string{"a", " b"}, ReasonNonCompliantHeader, 400},
		{"upper case", []string{"A", "b"}, "", 0},
		{"space in a name", []string{"a b", "c"}, "", 0},
		{"Connection", []string{"connection", "close"}, "", 0},
		{"Transfer-Encoding", []string{"transfer-encoding", "chunked"}, "", 0},
		{"TE", []string{"te", "gzip"}, "", 0},
		{"Transfer_Encoding", []string{"transfer_encoding", "chunked"}, ReasonSuspiciousHeader, 400},
		{"another expectation", []string{"expect", "200-ok"}, ReasonUnknownExpectation, 417},
		{"a length of GET", []string{"content-length", "3"}, ReasonUndefinedLength, 400},
		{"bad length", []string{":method", "POST", "content-length", "three"}, "", 0},
		{"signed length", []string{":method", "POST", "content-length", "+3"}, "", 0},
		{"two lengths", []string{":method", "POST", "content-length", "0", "content-length", "1"}, "", 0},
		{"path too long", []string{":path", "/" + repeat("a", 16<<10)}, ReasonRequestLineTooLong, 414},
		{"field too long", []string{"a", repeat("a", 16<<10)}, ReasonFieldTooLong, 431},
		{"head too long", strings.Split(strings.TrimSuffix(repeat("a,"+repeat("b", 8000)+",", 9), ","), ","), ReasonHeadTooLong, 431},
		{"head far too long", strings.Split(strings.TrimSuffix(repeat("a,"+repeat("b", 8000)+",", 18), ","), ","), "", 431},
		{"too many fields", strings.Split(strings.TrimSuffix(repeat("a,b,", 101), ","), ","), ReasonTooManyFields, 431},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(h.refusals())
			v.t = t
			r := v.open()
			_, _ = r.Write(h3Frame(h3Headers, h3Head(c.fields...))) // it may be stopped
			r.Close()
			a := r.answer()
			if c.status == 0 {
				if a.reset != http3.ErrCodeMessageError || a.status != "" {
					t.Errorf("answered %+v, want a reset", a)
				}
				return
			}
			if a.status != fmt.Sprint(c.status) || !a.whole {
				t.Fatalf("answered %+v, want %d", a, c.status)
			}
			if got := h.refusals()[before:]; c.reason != "" && (len(got) != 1 || got[0].Reason != c.reason || got[0].Status != c.status || !got[0].Secure || !got[0].Peer.IsValid() || a.fields.Get("x-request-id") != "id-of-refusal") {
				t.Errorf("refusals noted: %+v, fields %v; want %s", got, a.fields, c.reason)
			}
		})
	}
}

func TestH3Bodies(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		b, err := io.ReadAll(x.Body)
		text(fmt.Sprintf("%d %s %v %v", x.Request.Length, b, err, x.Trailers))(x)
	})
	v := h.visitH3()
	for name, c := range map[string]struct {
		method, length string
		send           func(r *h3request)
		body           string
	}{
		"declared":             {"POST", "5", func(r *h3request) { r.send(h3Data, []byte("he")); r.send(h3Data, []byte("llo")) }, "5 hello <nil> []"},
		"undeclared":           {"POST", "-", func(r *h3request) { r.send(h3Data, []byte("hello")) }, "-1 hello <nil> []"},
		"too short":            {"POST", "5", func(r *h3request) { r.send(h3Data, []byte("he")) }, "5 he malformed request body []"},
		"none of GET":          {"GET", "-", func(*h3request) {}, "0  <nil> []"},
		"none of DELETE":       {"DELETE", "-", func(*h3request) {}, "0  <nil> []"},
		"undeclared of DELETE": {"DELETE", "-", func(r *h3request) { r.send(h3Data, []byte("hello")) }, "-1 hello <nil> []"},
		"trailers": {"POST", "-", func(r *h3request) {
			r.send(h3Data, []byte("hello"))
			r.send(h3Headers, h3Block("x-b", "2", "x-a", "1"))
		}, "-1 hello <nil> [{X-A 1} {X-B 2}]"},
		"an unknown frame": {"POST", "-", func(r *h3request) { r.send(0x21, []byte("grease")); r.send(h3Data, []byte("hello")) }, "-1 hello <nil> []"},
	} {
		t.Run(name, func(t *testing.T) {
			v.t = t
			r := v.ask(false, ":method", c.method, "content-length", c.length)
			c.send(r)
			r.Close()
			if a := r.answer(); a.body != c.body || !a.whole {
				t.Errorf("%+v", a)
			}
		})
	}
	t.Run("too long", func(t *testing.T) {
		v.t = t
		r := v.ask(false, ":method", "POST", "content-length", "1")
		r.send(h3Data, []byte("hello"))
		r.Close()
		if a := r.answer(); a.whole || a.reset != http3.ErrCodeMessageError {
			t.Errorf("%+v", a)
		}
	})
	t.Run("of GET", func(t *testing.T) {
		v.t = t
		r := v.ask(false)
		r.send(h3Data, []byte("hello"))
		if a := r.answer(); a.status != "400" {
			t.Errorf("%+v", a)
		}
	})
}

func TestH3Continue(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		if x.RawPath == "/read" {
			echo(x)
		}
	})
	v := h.visitH3()
	for path, hints := range map[string]int{"/read": 1, "/": 0} {
		r := v.ask(false, ":method", "POST", ":path", path, "expect", "100-continue", "content-length", "4")
		r.send(h3Data, []byte("body"))
		r.Close()
		if a := r.answer(); a.status != "200" || len(a.hints) != hints {
			t.Errorf("%s: %+v", path, a)
		}
	}
}

func TestH3Abort(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		switch x.RawPath {
		case "/at-once":
			x.Abort(io.ErrUnexpectedEOF)
		case "/in-the-body":
			io.WriteString(x, "half")
			x.Abort(io.ErrUnexpectedEOF)
		case "/too-short":
			x.Response.Length = 9
			io.WriteString(x, "half")
		case "/bug":
			panic("bug")
		default:
			text("fine")(x)
		}
	})
	v := h.visitH3()
	for _, path := range []string{"/at-once", "/in-the-body", "/too-short", "/bug"} {
		if a := v.ask(true, ":path", path).answer(); a.whole || a.reset != http3.ErrCodeInternalError {
			t.Errorf("%s: %+v", path, a)
		}
		if a := v.ask(true).answer(); !a.whole || a.body != "fine" {
			t.Errorf("after %s: %+v", path, a)
		}
	}
}

// An answer to HEAD whose length nobody knows does not say that it is 0.
func TestH3HeadOfUnknownLength(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{}, func(x *exchange.Exchange) { io.WriteString(x, "unknown") })
	if a := h.visitH3().ask(true, ":method", "HEAD").answer(); a.status != "200" || a.fields.Get("content-length") != "" {
		t.Errorf("%+v", a)
	}
}

// Whoever breaks the protocol is told so, and nobody else suffers.
func TestH3BrokenFrames(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{}, func(x *exchange.Exchange) { io.Copy(io.Discard, x.Body) })
	honest := h.visitH3()
	for name, c := range map[string]struct {
		send  func(v *h3visitor)
		ended http3.ErrCode
	}{
		"DATA before HEADERS": {func(v *h3visitor) { v.open().send(h3Data, []byte("a")) }, http3.ErrCodeFrameUnexpected},
		"SETTINGS of a request": {func(v *h3visitor) {
			r := v.ask(false, ":method", "POST")
			r.send(h3Settings, nil)
		}, http3.ErrCodeFrameUnexpected},
		"two control streams": {func(v *h3visitor) {
			s, err := v.conn.OpenUniStream()
			v.check(err)
			s.Write(append([]byte{0}, h3Frame(h3Settings, nil)...))
		}, http3.ErrCodeStreamCreationError},
		"a push": {func(v *h3visitor) {
			s, err := v.conn.OpenUniStream()
			v.check(err)
			s.Write([]byte{1, 0})
		}, http3.ErrCodeStreamCreationError},
	} {
		t.Run(name, func(t *testing.T) {
			v := h.visitH3()
			v.t = t
			c.send(v)
			if code := v.ended(); code != c.ended {
				t.Errorf("ended with %v, want %v", code, c.ended)
			}
		})
	}
	for name, send := range map[string]func(r *h3request){
		"a dynamic table": func(r *h3request) { r.send(h3Headers, []byte{2, 0, 0x80}) },
		"a broken block": func(r *h3request) {
			r.send(h3Headers, []byte{0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		},
		"a head cut short": func(r *h3request) { r.Write([]byte{h3Headers, 30, 0, 0}); r.Close() },
	} {
		r := honest.open()
		send(r)
		if a := r.answer(); a.reset == 0 || a.status != "" {
			t.Errorf("%s: %+v", name, a)
		}
	}
	r := honest.open()
	r.Write([]byte{h3Headers, 0xbf, 0xff, 0xff, 0xff, 0}) // a gigabyte
	if a := r.answer(); a.status != "431" {
		t.Errorf("%+v", a)
	}
	if a := honest.ask(true).answer(); a.status != "200" {
		t.Errorf("%+v", a)
	}
}

// Resets do not make room for more handlers than streams (CVE-2023-44487).
func TestH3RapidReset(t *testing.T) {
	t.Parallel()
	var running, most, all atomic.Int64
	release := make(chan struct{})
	h := start(t, true, Limits{Streams: 8}, func(*exchange.Exchange) {
		all.Add(1)
		for n := running.Add(1); n > most.Load(); {
			most.Store(n)
		}
		<-release
		running.Add(-1)
	})
	v := h.visitH3()
	for range 8 {
		v.ask(true)
	}
	waitFor(t, func() bool { return running.Load() == 8 })
	if _, err := v.conn.OpenStream(); err == nil {
		t.Error("a ninth stream may be opened")
	}
	close(release)
	for range 200 {
		r := v.open()
		if _, err := r.Write(h3Frame(h3Headers, h3Head())); err != nil {
			t.Fatal(err)
		}
		r.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
		r.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	}
	if a := v.ask(true).answer(); a.status != "200" || most.Load() > 8 {
		t.Errorf("%+v; %d handlers at a time", a, most.Load())
	}
}

func TestH3ClientGone(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*h3visitor, *h3request){
		"reset": func(_ *h3visitor, r *h3request) {
			r.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
			r.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
		},
		"connection closed": func(v *h3visitor, _ *h3request) { v.leave() },
	} {
		for _, doing := range []string{"thinking", "reading", "writing"} {
			t.Run(name+" while "+doing, func(t *testing.T) {
				began, done := make(chan struct{}), make(chan error, 1)
				h := start(t, true, Limits{}, func(x *exchange.Exchange) { done <- untilGone(x, doing, began) })
				v := h.visitH3()
				r := v.ask(false, ":method", "POST")
				<-began
				leave(v, r)
				if err := <-done; !errors.Is(err, exchange.ErrClientGone) {
					t.Error(err)
				}
			})
		}
	}
}
