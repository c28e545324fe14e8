package front

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// seen is what a visitor sees of an answer, whatever protocol carried it.
type seen struct {
	Status  int
	Header  http.Header
	Length  int64
	Body    string
	Trailer http.Header
	Hints   []string
	Broken  bool
}

// ask sends a request and reads the whole answer.
func (h *host) ask(t *testing.T, protocol exchange.Protocol, method, path string, body io.Reader, header http.Header, trailer http.Header) seen {
	t.Helper()
	var s seen
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(status int, h textproto.MIMEHeader) error {
		s.Hints = append(s.Hints, fmt.Sprint(status, h))
		return nil
	}})
	r, err := http.NewRequestWithContext(ctx, method, h.url(path), body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header, r.Trailer = header.Clone(), trailer.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	a, err := h.client(protocol).Transport.RoundTrip(r)
	if err != nil {
		s.Broken = true
		return s
	}
	defer a.Body.Close()
	if a.Proto != protocol.String() {
		t.Fatalf("answered by %s", a.Proto)
	}
	b, err := io.ReadAll(a.Body)
	s.Status, s.Header, s.Length, s.Body, s.Trailer, s.Broken = a.StatusCode, a.Header, a.ContentLength, string(b), a.Trailer, err != nil
	for _, name := range []string{"Date", "Connection"} {
		delete(s.Header, name)
	}
	if s.Status == http.StatusNotModified {
		s.Length = 0 // quic-go's client says that it does not know
	}
	if len(s.Trailer) == 0 {
		s.Trailer = nil
	}
	return s
}

// unsized is a body whose length is not declared.
type unsized struct{ io.Reader }

// The same handlers must look the same over all protocols, to the visitor and to the handler.
func TestAllProtocols(t *testing.T) {
	t.Parallel()
	large := repeat("0123456789abcdef", 1<<14)
	for name, c := range map[string]struct {
		handler exchange.HandlerFunc
		method  string // GET
		body    string
		chunked bool
		header  http.Header
		trailer http.Header
	}{
		"nothing":         {handler: func(*exchange.Exchange) {}},
		"text":            {handler: text("hello")},
		"HEAD":            {handler: text("hello"), method: "HEAD"},
		"status":          {handler: func(x *exchange.Exchange) { x.Response.Status = 418; text("teapot")(x) }},
		"204":             {handler: func(x *exchange.Exchange) { x.Response.Status = 204; io.WriteString(x, "x") }},
		"304":             {handler: func(x *exchange.Exchange) { x.Response.Status = 304; x.Response.Fields.Add("Etag", `"a"`) }},
		"large":           {handler: text(large)},
		"unknown length":  {handler: func(x *exchange.Exchange) { io.WriteString(x, large); x.Flush(); io.WriteString(x, "end") }},
		"flushed at once": {handler: func(x *exchange.Exchange) { x.Flush() }},
		"fields": {handler: func(x *exchange.Exchange) {
			x.Response.Fields = append(x.Response.Fields, exchange.Field{Name: "set-cookie", Value: "a=b"}, exchange.Field{Name: "Set-Cookie", Value: "c=d"}, exchange.Field{Name: "X-Empty", Value: ""},
				exchange.Field{Name: "Keep-Alive", Value: "1"}, exchange.Field{Name: "X-Broken", Value: "a\r\nb"}, exchange.Field{Name: "X-Latin", Value: "\xe9"})
			text("x")(x)
		}},
		"hints": {handler: func(x *exchange.Exchange) {
			x.SendInformational(103, exchange.Fields{{Name: "Link", Value: "</a>"}})
			x.SendInformational(102, nil)
			text("x")(x)
		}},
		"trailers": {handler: func(x *exchange.Exchange) {
			io.WriteString(x, "body")
			x.Flush()
			x.Response.Trailers.Add("Grpc-Status", "0")
			x.Response.Trailers.Add("Content-Length", "7")
		}},
		"cut off":       {handler: func(x *exchange.Exchange) { io.WriteString(x, "half"); x.Flush(); x.Abort(io.ErrUnexpectedEOF) }},
		"too short":     {handler: func(x *exchange.Exchange) { x.Response.Length = 9; io.WriteString(x, "half") }},
		"never sent":    {handler: func(x *exchange.Exchange) { x.Abort(io.ErrUnexpectedEOF) }},
		"bad status":    {handler: func(x *exchange.Exchange) { x.Response.Status = 99 }},
		"echo":          {handler: echo, method: "POST", body: large},
		"echo, chunked": {handler: echo, method: "POST", body: large, chunked: true},
		"body unread":   {handler: text("no, thank you"), method: "POST", body: "body"},
		"body over its limit": {method: "POST", body: "123456", chunked: true, handler: func(x *exchange.Exchange) {
			x.LimitBody(5)
			b, err := io.ReadAll(x.Body)
			text(fmt.Sprintf("%q %v", b, errors.Is(err, exchange.ErrBodyTooLarge)))(x)
		}},
		"what is asked": {handler: func(x *exchange.Exchange) {
			f := x.Fields.Clone()
			f.DelFunc(func(f exchange.Field) bool { return exchange.EqualName(f.Name, "User-Agent") })
			text(fmt.Sprintln(x.Method, x.Scheme, x.RawPath, x.RawQuery, x.HasQuery, x.Request.Length, x.Request.Upgrade, f, x.TLS != nil, x.Peer.IsValid(), x.Local.IsValid()))(x)
		}, header: http.Header{"Accept": {"a", "b"}, "Cookie": {"a=b; c=d"}, "X-Z": {""}}},
		"trailers of the request": {handler: func(x *exchange.Exchange) {
			io.Copy(io.Discard, x.Body)
			text(fmt.Sprint(x.Trailers))(x)
		}, method: "POST", body: "body", chunked: true, trailer: http.Header{"X-Sum": {"7"}}},
		"100": {handler: echo, method: "POST", body: "body", header: http.Header{"Expect": {"100-continue"}}},
		"an http.Handler": {handler: exchange.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			w.WriteHeader(103)
			fmt.Fprintf(w, "<html>%s %s %d", r.Method, r.RequestURI, r.ContentLength)
			io.Copy(w, r.Body)
			w.Header().Set("X-Sum", "7")
		})).ServeExchange, method: "PUT", body: large},
		"an http.Handler that aborts": {handler: exchange.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "half")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})).ServeExchange},
	} {
		if c.method == "" {
			c.method = "GET"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, true, Limits{}, c.handler)
			over := func(protocol exchange.Protocol) seen {
				var body io.Reader
				if c.chunked {
					body = unsized{strings.NewReader(c.body)}
				} else if c.body != "" {
					body = bytes.NewReader([]byte(c.body))
				}
				return h.ask(t, protocol, c.method, "/a%2fb//c?d=%20", body, c.header, c.trailer)
			}
			h1, h2 := over(exchange.HTTP11), over(exchange.HTTP2)
			h3 := over(exchange.HTTP3)
			if h1.Broken && h3.Broken { // a reset stream drops what has not arrived yet (RFC 9000, section 3.3)
				h3 = h1
			}
			if !reflect.DeepEqual(h1, h2) || !reflect.DeepEqual(h1, h3) {
				t.Errorf("\nHTTP/1.1 %.600s\nHTTP/2   %.600s\nHTTP/3   %.600s", fmt.Sprintf("%+v", h1), fmt.Sprintf("%+v", h2), fmt.Sprintf("%+v", h3))
			}
		})
	}
}

func TestDrainOfAllProtocols(t *testing.T) {
	t.Parallel()
	began, release := make(chan struct{}), make(chan struct{})
	h := start(t, true, Limits{}, func(x *exchange.Exchange) {
		began <- struct{}{}
		<-release
		text("finished")(x)
	})
	answers := make(chan seen, 3)
	for _, protocol := range []exchange.Protocol{exchange.HTTP11, exchange.HTTP2, exchange.HTTP3} {
		go func() { answers <- h.ask(t, protocol, "GET", "/", nil, nil, nil) }()
	}
	for range 3 {
		<-began
	}
	drained := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		drained <- h.server.Drain(ctx)
	}()
	waitFor(t, h.server.draining.Load)
	close(release)
	for range 3 {
		if a := <-answers; a.Body != "finished" || a.Broken {
			t.Errorf("%+v", a)
		}
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}
