package front

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/onehost/edge/edge/internal/exchange"
)

// webSocket asks for one by extended CONNECT.
func (v *h3visitor) webSocket(fields ...string) *h3request {
	v.t.Helper()
	return v.ask(false, append([]string{":method", "CONNECT", ":protocol", "websocket"}, fields...)...)
}

// opened wants a 200, after which come bytes.
func (r *h3request) opened() h3answer {
	r.t.Helper()
	var a h3answer
	kind, payload, err := readH3Frame(quicvarint.NewReader(r.Stream))
	if err != nil || kind != h3Headers {
		r.t.Fatalf("frame of type %d, %v", kind, err)
	}
	if a.head(r.t, payload); a.status != "200" {
		r.t.Fatalf("%+v", a)
	}
	return a
}

// upgrade lets do have the connection.
func upgrade(t *testing.T, do func(c io.ReadWriteCloser)) exchange.HandlerFunc {
	return func(x *exchange.Exchange) {
		c, err := x.Upgrade()
		if err != nil {
			t.Errorf("Upgrade: %v", err)
			return
		}
		defer c.Close()
		do(c)
	}
}

func TestH3Upgrade(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		if r := &x.Request; r.Upgrade != "websocket" || r.Method != "GET" || r.RawPath != "/a" || r.RawQuery != "b" || r.Length != 0 || r.Fields.Get("Sec-WebSocket-Version") != "13" {
			t.Errorf("%s %s?%s, %q, %d, %v", r.Method, r.RawPath, r.RawQuery, r.Upgrade, r.Length, r.Fields)
		}
		x.Response.Fields.Add("Sec-WebSocket-Protocol", "chat")
		c, err := x.Upgrade()
		if err != nil {
			t.Errorf("Upgrade: %v", err)
			return
		}
		if _, err := x.Upgrade(); !errors.Is(err, exchange.ErrNoUpgrade) {
			t.Errorf("Upgrade once more: %v", err)
		}
		go func() { // it may outlive the handler
			defer c.Close()
			n, err := io.Copy(c, c)
			fmt.Fprintf(c, " %d %v", n, err)
		}()
	})
	v := h.visitH3()
	r := v.webSocket(":path", "/a?b", "sec-websocket-version", "13")
	if a := r.opened(); a.fields.Get("sec-websocket-protocol") != "chat" || a.fields["content-length"] != nil || a.fields["upgrade"] != nil {
		t.Errorf("%v", a.fields)
	}
	r.send(h3Data, []byte("early "))
	r.send(h3Data, []byte("late"))
	r.Close()
	rest := h3answer{status: "200"}
	if rest.frames(r); rest.body != "early late 10 <nil>" || !rest.whole {
		t.Errorf("%+v", rest)
	}
	waitFor(t, func() bool { return h.server.Connections().Idle == 1 })
	if a := v.ask(true, ":method", "TRACE").answer(); a.status != "405" {
		t.Errorf("after it: %+v", a)
	}
}

// Who has nothing more to say may still listen, on both sides.
func TestH3UpgradeHalfClosed(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 1)
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		ctx := x.Context()
		upgrade(t, func(c io.ReadWriteCloser) {
			io.WriteString(c, "bye")
			c.(interface{ CloseWrite() error }).CloseWrite()
			b, err := io.ReadAll(c)
			heard <- fmt.Sprintf("%s, %v, %v", b, err, ctx.Err())
		})(x)
	})
	for name, listen := range map[string]func(*h3request){
		"to the end": func(r *h3request) {
			a := h3answer{status: "200"}
			if a.frames(r); a.body != "bye" || !a.whole {
				t.Errorf("%+v", a)
			}
		},
		"no more": func(r *h3request) { r.CancelRead(quic.StreamErrorCode(http3.ErrCodeNoError)) },
	} {
		r := h.visitH3().webSocket()
		r.opened()
		listen(r)
		r.send(h3Data, []byte("bye, too"))
		r.Close()
		if got := <-heard; got != "bye, too, <nil>, <nil>" {
			t.Errorf("a visitor who listens %s says %s", name, got)
		}
	}
}

func TestH3UpgradeRefused(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		x.Response.Status = map[string]int{"/403": 403, "/206": 206, "/204": 204, "/304": 304}[x.RawPath]
		io.WriteString(x, "a page")
		x.Record.ErrorReason = fmt.Sprint(x.Response.Status)
	})
	v := h.visitH3()
	for name, c := range map[string]struct {
		fields       []string
		status, body string
		reason       string
	}{
		"another protocol":         {[]string{":protocol", "connect-udp"}, "501", "", ReasonUnknownProtocol},
		"a length":                 {[]string{"content-length", "0"}, "400", "", ReasonUndefinedLength},
		"refused by the handler":   {[]string{":path", "/403"}, "403", "a page", ""},
		"a redirect":               {[]string{":path", "/304"}, "304", "", ""},
		"a page":                   {nil, "400", "a page", ""}, // any 2xx would say that the stream is open
		"a part of a page":         {[]string{":path", "/206"}, "400", "a page", ""},
		"nothing":                  {[]string{":path", "/204"}, "400", "", ""},
		"a broken path":            {[]string{":path", "/#"}, "400", "", ReasonBadURI},
		"a protocol of no CONNECT": {[]string{":method", "GET"}, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(h.refusals())
			v.t = t
			a := v.webSocket(c.fields...).answer()
			if a.status != c.status || c.reason == "" && a.body != c.body {
				t.Errorf("%+v", a)
			}
			if got := h.refusals()[before:]; c.reason != "" && (len(got) != 1 || got[0].Reason != c.reason) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// Silence in both directions ends it, silence in one does not.
func TestH3UpgradedIdle(t *testing.T) {
	t.Parallel()
	const idle = 200 * time.Millisecond
	ended := make(chan error, 1)
	h := start(t, true, Limits{Idle: idle}, upgrade(t, func(c io.ReadWriteCloser) {
		go func() {
			for range 4 {
				time.Sleep(idle / 2) // what is tested is time
				io.WriteString(c, "tick")
			}
		}()
		_, err := io.Copy(io.Discard, c)
		ended <- err
	}))
	r := h.visitH3().webSocket()
	began := time.Now()
	r.opened()
	a := h3answer{status: "200"}
	if a.frames(r); a.body != "ticktickticktick" {
		t.Errorf("%+v", a)
	}
	if err := <-ended; !errors.Is(err, exchange.ErrTooSlow) || time.Since(began) < 3*idle {
		t.Errorf("ended after %v with %v", time.Since(began), err)
	}
}

// Small messages that come when they come are no slow body, though nobody answers them.
func TestH3UpgradedTrickle(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 1)
	h := start(t, true, Limits{Window: 100 * time.Millisecond}, upgrade(t, func(c io.ReadWriteCloser) {
		b, err := io.ReadAll(c)
		heard <- fmt.Sprint(string(b), err)
	}))
	r := h.visitH3().webSocket()
	r.opened()
	for range 20 {
		r.send(h3Data, []byte("a"))
		time.Sleep(20 * time.Millisecond) // what is tested is time
	}
	r.Close()
	if got := <-heard; got != repeat("a", 20)+"<nil>" {
		t.Error(got)
	}
}

// A visitor who takes nothing in holds nobody up: Close ends a Write that waits for him.
func TestH3UpgradedCloseWhileWriting(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	h := start(t, true, Limits{}, upgrade(t, func(c io.ReadWriteCloser) {
		go func() {
			_, err := c.Write(make([]byte, 64<<20))
			ended <- err
		}()
		c.Read(make([]byte, 1)) // until the visitor says that he has enough
	}))
	r := h.visitH3().webSocket()
	r.opened()
	io.ReadFull(r, make([]byte, 1000))
	r.send(h3Data, []byte("a"))
	if err := <-ended; err == nil {
		t.Error("64 MiB were written to nobody")
	}
	var reset *quic.StreamError
	if _, err := io.Copy(io.Discard, r.Stream); !errors.As(err, &reset) || reset.ErrorCode != quic.StreamErrorCode(http3.ErrCodeRequestCanceled) {
		t.Errorf("the visitor sees %v", err)
	}
}

func TestH3UpgradedClientGone(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*h3visitor, *h3request){
		"reset":              func(_ *h3visitor, r *h3request) { r.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled)) },
		"connection closed":  func(v *h3visitor, _ *h3request) { v.leave() },
		"a frame of no DATA": func(_ *h3visitor, r *h3request) { r.send(h3Settings, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			h := start(t, true, Limits{}, func(x *exchange.Exchange) {
				ctx := x.Context()
				upgrade(t, func(c io.ReadWriteCloser) {
					context.AfterFunc(ctx, func() { c.Close() })
					_, err := io.Copy(io.Discard, c)
					ended <- err
				})(x)
			})
			v := h.visitH3()
			r := v.webSocket()
			r.opened()
			leave(v, r)
			if err := <-ended; !errors.Is(err, exchange.ErrClientGone) {
				t.Error(err)
			}
		})
	}
}

// It lives until the drain's end, and the connection is told to go meanwhile.
func TestH3UpgradedDrain(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		upgrade(t, func(c io.ReadWriteCloser) { io.Copy(c, c) })(x)
		ended <- context.Cause(x.Context())
	})
	v := h.visitH3()
	r := v.webSocket()
	r.opened()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- h.server.Drain(ctx) }()
	v.goneAway()
	r.send(h3Data, []byte("still there?"))
	if kind, b, err := readH3Frame(quicvarint.NewReader(r.Stream)); kind != h3Data || string(b) != "still there?" {
		t.Errorf("%d %q, %v", kind, b, err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, exchange.ErrShutdown) {
		t.Error(err)
	}
	if err := <-drained; err == nil {
		t.Error("nothing was cut off")
	}
}
