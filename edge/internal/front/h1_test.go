package front

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/onehost/edge/edge/internal/exchange"
)

func TestKeepAliveAndPipelining(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, secure bool) {
		v := start(t, secure, Limits{}, echo).visit()
		v.send(requestLine("GET /1 HTTP/1.1"))
		r := v.expect("GET", 200, "GET /1 ")
		if r.Header.Get("Date") == "" || r.Close {
			t.Errorf("head is %v", r.Header)
		}
		v.send(requestLine("GET /2 HTTP/1.1") + post("Content-Length: 3") + "abc" + post("Transfer-Encoding: chunked") + "3\r\ndef\r\n0\r\n\r\n" + requestLine("GET /3 HTTP/1.1"))
		v.expect("GET", 200, "GET /2 ")
		v.expect("POST", 200, "POST / abc")
		v.expect("POST", 200, "POST / def")
		v.expect("GET", 200, "GET /3 ")
		v.send(get("Connection: close"))
		if r := v.expect("GET", 200, "GET / "); !r.Close {
			t.Error("Connection: close was not confirmed")
		}
		v.expectEnd()
	})
}

func TestWhatTheExchangeKnows(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, secure bool) {
		h := start(t, secure, Limits{}, func(x *exchange.Exchange) {
			scheme := "http"
			if secure {
				scheme = "https"
			}
			if x.Scheme != scheme || (x.TLS != nil) != secure || !x.Peer.IsValid() || x.Record.Start.IsZero() {
				t.Errorf("scheme %s, TLS %v, peer %v, start %v", x.Scheme, x.TLS, x.Peer, x.Record.Start)
			}
			text(x.Peer.String() + " " + x.Local.String() + " " + x.Protocol.String())(x)
		})
		v := h.visit()
		v.send(get())
		v.expect("GET", 200, v.LocalAddr().String()+" "+h.address+" HTTP/1.1")
	})
}

func TestHTTP10(t *testing.T) {
	t.Parallel()
	h := start(t, false, Limits{}, func(x *exchange.Exchange) {
		if x.RawPath == "/unknown" {
			io.WriteString(x, "until the end")
			return
		}
		echo(x)
	})
	v := h.visit()
	v.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	if r := v.expect("GET", 200, "GET /a "); r.Header.Get("Connection") != "keep-alive" {
		t.Errorf("Connection is %q", r.Header.Get("Connection"))
	}
	v.send("GET /unknown HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	if r := v.expect("GET", 200, "until the end"); r.TransferEncoding != nil || !r.Close {
		t.Errorf("framing is %v, closing %v", r.TransferEncoding, r.Close)
	}
	v = h.visit()
	v.send("GET /b HTTP/1.0\r\n\r\n")
	v.expect("GET", 200, "GET /b ")
	v.expectEnd()
}

// TestFraming reads raw answers: what a lenient client would forgive must not be there.
func TestFraming(t *testing.T) {
	t.Parallel()
	h := start(t, false, Limits{}, func(x *exchange.Exchange) {
		r := &x.Response
		r.Fields.Add("Date", "now")
		switch x.RawPath {
		case "/empty":
		case "/length":
			r.Length = 2
			io.WriteString(x, "ab")
		case "/chunks":
			r.Trailers.Add("Known", "")
			io.WriteString(x, "a")
			io.WriteString(x, "b")
			x.Flush()
			io.WriteString(x, repeat("c", 20))
			r.Trailers.Set("Known", "yes")
			r.Trailers.Add("Content-Length", "7")
		case "/nothing":
			r.Status = 204
			r.Length = 0
		case "/same":
			r.Status = 304
			r.Length = 7
			io.WriteString(x, "dropped")
		case "/own":
			r.Length = 0
			for _, name := range []string{"Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Trailer", "Upgrade", "Proxy-Connection"} {
				r.Fields.Add(name, "7")
			}
		case "/split":
			r.Length = 0
			r.Fields.Add("A", "b\r\nSet-Cookie: c=d")
			r.Fields.Add("A", "b\nc")
			r.Fields.Add("A", "\x00")
			r.Fields.Add("A b", "c")
			r.Fields.Add("A:", "c")
			r.Fields.Add("", "c")
			r.Fields.Add("B", "fine\t")
		}
	})
	for _, c := range []struct{ request, want string }{
		{"GET /empty", "200 OK|Date: now|Content-Length: 0||"},
		{"GET /length", "200 OK|Date: now|Content-Length: 2||ab"},
		{"HEAD /length", "200 OK|Date: now|Content-Length: 2||"},
		{"GET /chunks", "200 OK|Date: now|Transfer-Encoding: chunked|Trailer: Known||2|ab|14|" + repeat("c", 20) + "|0|Known: yes||"},
		{"HEAD /chunks", "200 OK|Date: now||"},
		{"GET /nothing", "204 No Content|Date: now||"},
		{"GET /same", "304 Not Modified|Date: now||"},
		{"GET /own", "200 OK|Date: now|Content-Length: 0||"},
		{"GET /split", "200 OK|Date: now|B: fine\t|Content-Length: 0||"},
	} {
		v := h.visit()
		v.send(requestLine(c.request+" HTTP/1.1") + get("Connection: close"))
		want := "HTTP/1.1 " + strings.ReplaceAll(c.want, "|", crlf)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(v.r, got); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", c.request, got, err, want)
			continue
		}
		v.answer("GET") // the connection must stand at the next answer
	}
}

func TestLargeBodies(t *testing.T) {
	t.Parallel()
	big := repeat("0123456789abcdef", 1<<16) // 1 MiB
	onBoth(t, func(t *testing.T, secure bool) {
		h := start(t, secure, Limits{}, func(x *exchange.Exchange) {
			if x.HasQuery {
				x.Response.Length = x.Length
			}
			io.Copy(x, x.Body)
		})
		v := h.visit()
		for _, framing := range []string{"/", "/?length"} {
			go io.WriteString(v, "POST "+framing+" HTTP/1.1\r\nHost: a.test\r\nContent-Length: "+strconv.Itoa(len(big))+"\r\n\r\n"+big)
			v.expect("POST", 200, big)
			go io.WriteString(v, "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"+
				repeat("400\r\n"+big[:1024]+"\r\n", 512)+"80000\r\n"+big[:512<<10]+"\r\n0\r\n\r\n")
			v.expect("POST", 200, big)
		}
	})
}

func TestTrailersOfTheRequest(t *testing.T) {
	t.Parallel()
	v := start(t, false, Limits{}, func(x *exchange.Exchange) {
		io.Copy(io.Discard, x.Body)
		s := ""
		for _, f := range x.Trailers {
			s += f.Name + "=" + f.Value + ";"
		}
		text(s)(x)
	}).visit()
	v.send(post("Transfer-Encoding: chunked", "Trailer: A") + "1\r\nx\r\n0\r\nA: 1\r\nHost: b\r\nContent-Length: 3\r\nb:2 \r\n\r\n" + post("Content-Length: 0"))
	v.expect("POST", 200, "A=1;b=2;")
	v.expect("POST", 200, "")
}

func TestMalformedBodies(t *testing.T) {
	t.Parallel()
	h := start(t, false, Limits{}, echo)
	for name, raw := range map[string]string{
		"no size":                    "\r\nabc",
		"size with a sign":           "+3\r\nabc\r\n0\r\n\r\n",
		"size with a prefix":         "0x3\r\nabc\r\n0\r\n\r\n",
		"size with a space":          "3 \r\nabc\r\n0\r\n\r\n",
		"space before the size":      " 3\r\nabc\r\n0\r\n\r\n",
		"LF alone after the size":    "3\nabc\r\n0\r\n\r\n",
		"LF alone in an extension":   "3;\nabc\r\n0\r\n\r\n",
		"CR alone in an extension":   "3;a\rb\r\nabc\r\n0\r\n\r\n",
		"size beyond 64 bits":        "10000000000000003\r\nabc\r\n0\r\n\r\n",
		"many zeroes":                repeat("0", 300) + "3\r\nabc\r\n0\r\n\r\n",
		"extension too long":         "3;" + repeat("a", 300) + "\r\nabc\r\n0\r\n\r\n",
		"extensions without end":     repeat("1;"+repeat("a", 200)+"\r\na\r\n", 100) + "0\r\n\r\n",
		"data longer than its size":  "3\r\nabcd\r\n0\r\n\r\n",
		"data without CR":            "3\r\nabc\n0\r\n\r\n",
		"data and something":         "3\r\nabcx\r\n0\r\n\r\n",
		"LF alone after trailers":    "0\r\nA: b\n\r\n",
		"trailer without a colon":    "0\r\nabc\r\n\r\n",
		"folded trailer":             "0\r\nA: b\r\n c\r\n\r\n",
		"trailer with a control":     "0\r\nA: \x01\r\n\r\n",
		"framing in disguise":        "0\r\nTransfer_Encoding: chunked\r\n\r\n",
		"too many trailers":          "0\r\n" + repeat("A: b\r\n", 101) + "\r\n",
		"trailer without end":        "0\r\nA: " + repeat("a", 17<<10) + "\r\n\r\n",
		"trailers beyond all bounds": "0\r\n" + repeat("A: "+repeat("a", 9000)+"\r\n", 9) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			v := h.visit()
			v.send(post("Transfer-Encoding: chunked") + raw)
			if r := v.expect("POST", 400, "POST / "+exchange.ErrMalformedBody.Error()); !r.Close {
				t.Error("the connection is to be kept")
			}
			v.expectEnd()
		})
	}
}

func TestContinue(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		if x.RawPath == "/refuse" {
			x.Response.Status = 403
			return
		}
		echo(x)
	})
	v := h.visit()
	v.send(post("Content-Length: 3", "Expect: 100-Continue"))
	v.expect("POST", 100, "")
	v.send("abc")
	v.expect("POST", 200, "POST / abc")

	v.send("POST /refuse HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
	if r := v.expect("POST", 403, ""); !r.Close {
		t.Error("kept a connection on which the body may or may not follow")
	}
	v.expectEnd()
}

func TestInformational(t *testing.T) {
	t.Parallel()
	v := start(t, true, Limits{}, func(x *exchange.Exchange) {
		x.SendInformational(103, exchange.Fields{{Name: "Link", Value: "</a.css>"}})
		x.SendInformational(102, nil)
		echo(x)
	}).visit()
	v.send(get())
	if r := v.expect("GET", 103, ""); r.Header.Get("Link") != "</a.css>" {
		t.Errorf("fields are %v", r.Header)
	}
	v.expect("GET", 102, "")
	v.expect("GET", 200, "GET / ")
	v.send("GET /1.0 HTTP/1.0\r\n\r\n")
	v.expect("GET", 200, "GET /1.0 ")
}

func TestUnreadBody(t *testing.T) {
	t.Parallel()
	h := start(t, false, Limits{}, text("done"))
	v := h.visit()
	v.send(post("Content-Length: 200000") + repeat("a", 200000) + post("Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n" + get())
	for range 3 {
		v.expect("POST", 200, "done") // a small rest is dropped, the connection kept
	}
	v.send(post("Content-Length: 10000000") + repeat("a", 10000))
	if r := v.expect("POST", 200, "done"); !r.Close {
		t.Error("a connection with so much unread body is to be kept")
	}
	v.expectEnd()
}

// TestAnswerBeatsReset answers while the visitor still sends: he must get the answer.
func TestAnswerBeatsReset(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, secure bool) {
		v := start(t, secure, Limits{}, func(x *exchange.Exchange) {
			x.Response.Status = 413
			text("too large")(x)
		}).visit()
		v.send(post("Content-Length: 10000000") + repeat("a", 200<<10))
		v.expect("POST", 413, "too large")
	})
}

func TestReadAfterTheExchange(t *testing.T) {
	t.Parallel()
	bodies := make(chan io.Reader, 1)
	h := start(t, false, Limits{}, func(x *exchange.Exchange) { bodies <- x.Body })
	v := h.visit()
	v.send(post("Content-Length: 3") + "abc")
	v.expect("POST", 200, "")
	waitFor(t, func() bool { return h.server.Connections().Idle == 1 }) // the answer comes before the exchange is over
	if n, err := (<-bodies).Read(make([]byte, 9)); n != 0 || !errors.Is(err, errBodyClosed) {
		t.Errorf("read %d bytes, %v, of what belongs to the next request", n, err)
	}
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, secure bool) {
		h := start(t, secure, Limits{}, func(x *exchange.Exchange) {
			if x.Request.Upgrade != "websocket" {
				t.Errorf("Upgrade is %q", x.Request.Upgrade)
			}
			x.Response.Fields.Add("Sec-WebSocket-Accept", "key")
			c, err := x.Upgrade()
			if err != nil {
				t.Errorf("Upgrade: %v", err)
				return
			}
			go func() { // it may outlive the handler
				defer c.Close()
				io.Copy(c, c)
			}()
		})
		v := h.visit()
		v.send(get("Connection: Upgrade", "Upgrade: websocket") + "early ")
		r, err := http.ReadResponse(v.r, nil)
		if err != nil || r.StatusCode != 101 || r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Connection") != "Upgrade" ||
			r.Header.Get("Sec-Websocket-Accept") != "key" || r.Header.Get("Content-Length") != "" {
			t.Fatalf("answer is %v, %v", r, err)
		}
		v.send("late")
		b := make([]byte, len("early late"))
		if _, err := io.ReadFull(v.r, b); err != nil || string(b) != "early late" {
			t.Errorf("echo is %q, %v", b, err)
		}
		v.Close()
		waitFor(t, func() bool { return h.server.Connections().Open == 0 })
	})
}

func TestAbort(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, secure bool) {
		h := start(t, secure, Limits{}, func(x *exchange.Exchange) {
			switch x.RawPath {
			case "/length":
				x.Response.Length = 100
			case "/before":
				x.Abort(io.ErrUnexpectedEOF)
				return
			case "/panic":
				io.WriteString(x, "part")
				x.Flush()
				panic(http.ErrAbortHandler)
			}
			io.WriteString(x, "part")
			x.Flush()
			if x.RawPath != "/length" {
				x.Abort(io.ErrUnexpectedEOF)
			}
		})
		for path, protocol := range map[string]string{"/chunks": "1.1", "/length": "1.1", "/close": "1.0", "/before": "1.1", "/panic": "1.1"} {
			v := h.visit()
			v.send("GET " + path + " HTTP/" + protocol + "\r\nHost: a.test\r\n\r\n")
			r, err := http.ReadResponse(v.r, nil)
			if path == "/before" {
				if err == nil {
					t.Errorf("%s: answered %v", path, r)
				}
				continue
			}
			if err != nil {
				if path != "/close" { // a reset may overtake what was sent
					t.Errorf("%s: %v", path, err)
				}
				continue
			}
			if b, err := io.ReadAll(r.Body); err == nil {
				t.Errorf("%s: %q looks whole", path, b)
			}
		}
	})
}

func TestHandlerBugsEndOnlyTheirConnection(t *testing.T) {
	t.Parallel()
	h := start(t, false, Limits{}, func(x *exchange.Exchange) {
		if x.RawPath == "/panic" {
			panic("bug")
		}
		echo(x)
	})
	bad, good := h.visit(), h.visit()
	bad.send(requestLine("GET /panic HTTP/1.1"))
	if _, err := http.ReadResponse(bad.r, nil); err == nil {
		t.Error("got an answer of a handler that panicked")
	}
	good.send(get())
	good.expect("GET", 200, "GET / ")
}

func TestContextEndsWithItsExchange(t *testing.T) {
	t.Parallel()
	contexts := make(chan context.Context, 2)
	v := start(t, false, Limits{}, func(x *exchange.Exchange) { contexts <- x.Context() }).visit()
	v.send(get() + get())
	v.expect("GET", 200, "")
	v.expect("GET", 200, "")
	for range 2 {
		ctx := <-contexts
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
			t.Errorf("cause is %v", cause)
		}
	}
}

func TestAnIdleConnectionKeepsNoLongLists(t *testing.T) {
	t.Parallel()
	for fields, kept := range map[int]bool{10: true, 90: false} {
		s := New(Options{Handler: exchange.HandlerFunc(func(x *exchange.Exchange) {
			if len(x.Fields) < fields {
				t.Errorf("%d fields", len(x.Fields))
			}
			text("hello")(x)
		})})
		l := newLine(s, &tape{bytes: []byte("GET / HTTP/1.1\r\nHost: a\r\n" + repeat("X-A: b\r\n", fields) + "\r\n"), step: 1 << 20})
		h := newH1(s, l, l, nil)
		h.serve()
		if (cap(h.x.Fields) > 0) != kept {
			t.Errorf("room for %d fields is kept after %d", cap(h.x.Fields), fields)
		}
	}
}
