package front

import (
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/onehost/edge/edge/internal/exchange"
)

func TestH2Abort(t *testing.T) {
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
	f := h.frames()
	for i, c := range []struct{ path, status, body string }{
		{"/at-once", "", ""}, {"/in-the-body", "200", "half"}, {"/too-short", "200", "half"}, {"/bug", "", ""},
	} {
		stream := uint32(4*i + 1)
		f.head(stream, true, ":path", c.path)
		if a := f.answer(stream); a.whole || a.reset != http2.ErrCodeInternal || a.status != c.status || a.body != c.body {
			t.Errorf("%s: %+v", c.path, a)
		}
		f.head(stream+2, true)
		if a := f.answer(stream + 2); !a.whole || a.body != "fine" {
			t.Errorf("after %s: %+v", c.path, a)
		}
	}
}

func TestH2ReadAfterTheExchange(t *testing.T) {
	t.Parallel()
	var old io.Reader
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		if old != nil {
			if n, err := old.Read(make([]byte, 9)); n > 0 || err == nil {
				t.Errorf("the last body gives %d bytes, %v", n, err)
			}
		}
		old = x.Body
	})
	f := h.frames()
	for i := range uint32(20) { // what is used again is not always the last
		f.head(2*i+1, false, ":method", "POST")
		f.check(f.WriteData(2*i+1, true, []byte("secret")))
		if a := f.answer(2*i + 1); a.status != "200" {
			t.Fatalf("%+v", a)
		}
	}
}

// A handler that returns while another goroutine of its own still reads does not wait for the visitor.
func TestH2ReadingGoesOnAfterTheExchange(t *testing.T) {
	t.Parallel()
	result := make(chan error, 1)
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		body, started := x.Body, make(chan struct{})
		go func() {
			close(started)
			_, err := io.ReadAll(body)
			result <- err
		}()
		<-started
	})
	f := h.frames()
	f.head(1, false, ":method", "POST")
	f.answer(1)
	if err := <-result; err == nil {
		t.Error("the body has ended in order")
	}
}

func TestH2Drain(t *testing.T) {
	t.Parallel()
	began, release := make(chan struct{}), make(chan struct{})
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		began <- struct{}{}
		<-release
		text("finished")(x)
	})
	idle, busy := h.frames(), h.frames()
	busy.head(1, true)
	<-began
	drained := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		drained <- h.server.Drain(ctx)
	}()
	if g := nextOf[*http2.GoAwayFrame](idle); g.ErrCode != http2.ErrCodeNo || g.LastStreamID != 0 {
		t.Errorf("idle: %v", g)
	}
	if g := nextOf[*http2.GoAwayFrame](busy); g.ErrCode != http2.ErrCodeNo || g.LastStreamID != 1 {
		t.Errorf("busy: %v", g)
	}
	select {
	case err := <-drained:
		t.Fatalf("drained with a stream open: %v", err)
	default:
	}
	close(release)
	if a := busy.answer(1); a.body != "finished" || !a.whole {
		t.Errorf("%+v", a)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// A connection that is accepted while the server drains is told to go as well.
func TestH2AfterDrain(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	h := start(t, true, Limits{Window: 200 * time.Millisecond}, func(x *exchange.Exchange) {
		if x.RawPath == "/wait" {
			<-release
		}
	})
	holder := h.frames()
	holder.head(1, true, ":path", "/wait")
	waitFor(t, func() bool { return h.server.Connections().HTTP2 == 1 })
	drained := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		drained <- h.server.Drain(ctx)
	}()
	nextOf[*http2.GoAwayFrame](holder)
	idle, asking := h.frames(), h.frames()
	nextOf[*http2.GoAwayFrame](idle)
	asking.head(1, true)
	asking.end()
	close(release)
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

func TestH2CutOff(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	began := make(chan struct{})
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		close(began)
		<-x.Context().Done()
		ended <- context.Cause(x.Context())
	})
	f := h.frames()
	f.head(1, true)
	<-began
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := h.server.Drain(ctx); err == nil {
		t.Error("nothing was cut off")
	}
	select {
	case <-ended:
	default:
		t.Error("Drain has returned before the handler")
	}
}

func TestH2Answers(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		r := &x.Response
		r.Fields = append(r.Fields, exchange.Field{Name: "x-a", Value: "1"}, exchange.Field{Name: "X-A", Value: "2"}, exchange.Field{Name: "Connection", Value: "keep-alive"},
			exchange.Field{Name: "Transfer-Encoding", Value: "chunked"}, exchange.Field{Name: "X-Bad", Value: "a\r\nb: c"}, exchange.Field{Name: "x bad", Value: ""})
		switch x.RawPath {
		case "/204":
			r.Status = 204
		case "/304":
			r.Status, r.Length = 304, 9
		case "/unknown":
			io.WriteString(x, "<html>")
			_ = x.Flush()
		case "/trailers":
			io.WriteString(x, "body")
			r.Trailers.Add("Grpc-Status", "0")
			r.Trailers.Add("Content-Length", "9")
			r.Trailers.Add("x bad", "9")
		case "/trailers-alone":
			r.Trailers.Add("grpc-status", "0")
		default:
			text("<html>")(x)
		}
	})
	f := h.frames()
	stream := uint32(1)
	for _, c := range []struct{ method, path, status, length, body string }{
		{"GET", "/", "200", "6", "<html>"},
		{"HEAD", "/", "200", "6", ""},
		{"GET", "/unknown", "200", "", "<html>"},
		{"HEAD", "/unknown", "200", "", ""},
		{"GET", "/204", "204", "", ""},
		{"GET", "/304", "304", "", ""},
		{"GET", "/trailers", "200", "", "body"},
		{"GET", "/trailers-alone", "200", "", ""},
	} {
		f.head(stream, true, ":method", c.method, ":path", c.path)
		a := f.answer(stream)
		stream += 2
		if a.status != c.status || a.fields.Get("content-length") != c.length || a.body != c.body || !a.whole {
			t.Errorf("%s %s: %+v", c.method, c.path, a)
		}
		if _, err := http.ParseTime(a.fields.Get("date")); err != nil || !reflect.DeepEqual(a.fields["X-A"], []string{"1", "2"}) {
			t.Errorf("%s %s: %v", c.method, c.path, a.fields)
		}
		for _, name := range []string{"connection", "transfer-encoding", "x-bad", "content-type", "trailer"} {
			if a.fields.Get(name) != "" {
				t.Errorf("%s %s: %v", c.method, c.path, a.fields)
			}
		}
		if want := (http.Header{"Grpc-Status": {"0"}}); strings.HasPrefix(c.path, "/trailers") != reflect.DeepEqual(a.trailer, want) {
			t.Errorf("%s %s: trailers %v", c.method, c.path, a.trailer)
		}
	}
}

func TestH2Informational(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		x.Response.Fields.Add("X-Later", "1")
		if err := x.SendInformational(103, exchange.Fields{{Name: "Link", Value: "<a>"}}); err != nil {
			t.Error(err)
		}
		if err := x.SendInformational(101, nil); err == nil {
			t.Error("101 is no informational answer")
		}
		if _, err := x.Upgrade(); !errors.Is(err, exchange.ErrNoUpgrade) {
			t.Error(err)
		}
		text("x")(x)
	})
	f := h.frames()
	f.head(1, true)
	hint := nextOf[*http2.MetaHeadersFrame](f)
	if fields := hint.RegularFields(); hint.PseudoValue("status") != "103" || len(fields) != 1 || fields[0].Value != "<a>" {
		t.Errorf("%v", hint)
	}
	if a := f.answer(1); a.status != "200" || a.fields.Get("link") != "" || a.fields.Get("x-later") != "1" {
		t.Errorf("%+v", a)
	}
}

// Events must leave at once, and a visitor's must arrive while the answer goes on.
func TestH2FullDuplex(t *testing.T) {
	t.Parallel()
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		_ = x.Flush()
		for b := make([]byte, 100); ; {
			n, err := x.Body.Read(b)
			if err != nil {
				return
			}
			x.Write(b[:n])
			x.Flush()
		}
	})
	f := h.frames()
	f.head(1, false, ":method", "POST")
	nextOf[*http2.MetaHeadersFrame](f)
	for _, message := range []string{"one", "two", "three"} {
		f.check(f.WriteData(1, false, []byte(message)))
		if d := nextOf[*http2.DataFrame](f); string(d.Data()) != message {
			t.Fatalf("%q came back for %q", d.Data(), message)
		}
	}
	f.check(f.WriteData(1, true, nil))
	if a := f.answer(1); !a.whole {
		t.Errorf("%+v", a)
	}
}

// A stream that ends while a hint is being written leaves x/net alone with the hint's fields.
func TestH2ResetAmongHints(t *testing.T) {
	t.Parallel()
	hints := exchange.Fields{{Name: "Link", Value: "</a>"}, {Name: "X-A", Value: "a"}, {Name: "X-B", Value: "b"}}
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		for x.SendInformational(103, hints) == nil {
		}
	})
	f := h.frames()
	for i := range uint32(200) {
		f.head(2*i+1, true)
		nextOf[*http2.MetaHeadersFrame](f)
		f.check(f.WriteRSTStream(2*i+1, http2.ErrCodeCancel))
	}
}
