package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// Bounds of the connections to one target.
const (
	maxConns     = maxRequests // those being made and those kept for later count, too
	maxIdleConns = 256
	// idleConns is how long a connection is kept for the next request. It is below the five seconds after which Node
	// and uvicorn close one, lest a request be sent into a connection that is just being closed.
	idleConns = 4 * time.Second
)

// maxAnswerHead is how large the head of an answer may be, in bytes (ALB: 32 KiB).
const maxAnswerHead = 64 << 10

// httpWay is a way over net/http's Transport: http/1.1, plain or on TLS, on TCP or a unix socket, or h2c.
type httpWay struct {
	transport *http.Transport
	host      string // names the target where the request itself does not; any name will do for a unix socket
	h2c       bool
}

func newHTTPWay(d *dialer, host string) *httpWay {
	var protocols http.Protocols
	protocols.SetHTTP1(!d.h2c)
	protocols.SetUnencryptedHTTP2(d.h2c)
	return &httpWay{
		host: host,
		h2c:  d.h2c,
		transport: &http.Transport{
			// The dialer does TLS too, so that the transport's scheme is always http and all that can go wrong in
			// connecting goes wrong in one place.
			DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return d.dial(ctx) },
			Protocols:              &protocols,
			HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
			DisableCompression:     true,
			MaxConnsPerHost:        maxConns,
			MaxIdleConns:           maxIdleConns,
			MaxIdleConnsPerHost:    maxIdleConns,
			IdleConnTimeout:        idleConns,
			ExpectContinueTimeout:  time.Second, // what Expect costs where the target never says 100
			MaxResponseHeaderBytes: maxAnswerHead,
		},
	}
}

// Close closes idle connections. Those in use are not kept when they are done with.
func (w *httpWay) Close() error {
	w.transport.CloseIdleConnections()
	return nil
}

func (w *httpWay) switches() bool { return !w.h2c }

func (w *httpWay) send(a *attempt) (*answer, error) {
	t := &trip{a: a, start: time.Now()}
	r := w.request(a)
	key := addWebSocketKey(a.x, r.Header)
	resp, err := w.transport.RoundTrip(r.WithContext(httptrace.WithClientTrace(a.ctx, t.hooks()))) //nolint:bodyclose // deliver does
	a.progress = t.end()
	if err != nil {
		return nil, err
	}
	ans := &answer{
		status:   resp.StatusCode,
		fields:   appendHeader(a.x.Response.Fields, resp.Header),
		length:   resp.ContentLength,
		body:     resp.Body,
		trailers: func() exchange.Fields { return answerTrailers(resp.Trailer) },
	}
	for name := range resp.Trailer {
		if isAnswerTrailer(name) {
			ans.announced.Add(name, "")
		}
	}
	if isSwitch(resp) && key.isAccepted(&ans.fields) {
		ans.switched, _ = resp.Body.(io.ReadWriteCloser)
	}
	if resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified {
		ans.length = lengthOf(resp.Header) // net/http says 0, which only an answer with a body would say
	}
	return ans, nil
}

// lengthOf is the length that a head declares, -1 for none.
func lengthOf(h http.Header) int64 {
	n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// request is the request as net/http wants it.
func (w *httpWay) request(a *attempt) *http.Request {
	x := a.x
	r := &http.Request{
		Method:        x.Method,
		URL:           w.url(x),
		Host:          x.Host,
		Header:        w.header(x),
		ContentLength: x.Request.Length,
		ProtoMajor:    1,
		ProtoMinor:    1,
	}
	if a.body == nil {
		return r
	}
	r.Body = a.body
	if x.Request.Length < 0 {
		if !w.h2c {
			r.TransferEncoding = []string{"chunked"} // said, lest it wait for the first byte to decide
		}
		r.Trailer = make(http.Header)
		announced(x, r.Trailer)
		r.Body = &trailingBody{requestBody: a.body, trailers: r.Trailer}
	}
	return r
}

// url makes net/http send path and query byte by byte as they came.
func (w *httpWay) url(x *exchange.Exchange) *url.URL {
	u := &url.URL{Scheme: "http", Host: w.host, Opaque: x.RawPath, RawQuery: x.RawQuery, ForceQuery: x.HasQuery}
	if strings.HasPrefix(x.RawPath, "//") {
		// net/http takes this for an authority; but it cuts scheme and host off for h2c, and over http/1.1 it sends the
		// path as it came where it would not escape any of its bytes. For the others it has no origin form: they go
		// out in absolute form, which any server must understand (RFC 9112, section 3.2.2).
		host := x.Host
		if host == "" {
			host = w.host
		}
		u.Opaque = "http://" + host + x.RawPath
		if w.h2c {
			return u
		}
		if path, err := url.PathUnescape(x.RawPath); err == nil {
			plain := &url.URL{Path: path, RawPath: x.RawPath}
			if plain.EscapedPath() == x.RawPath {
				u.Opaque, u.Path, u.RawPath = "", path, x.RawPath
			}
		}
	}
	return u
}

// header is the fields as a map. Nothing is added that was not sent.
func (w *httpWay) header(x *exchange.Exchange) http.Header {
	h := make(http.Header, len(x.Request.Fields)+3)
	values := make([]string, len(x.Request.Fields))
	for i, f := range x.Request.Fields {
		name := textproto.CanonicalMIMEHeaderKey(f.Name)
		if name == "Idempotency-Key" || name == "X-Idempotency-Key" {
			// Under the name that it knows, net/http takes it for leave to send a POST twice. Whether an app knows what the
			// field means isn't known here: only our own rule says what is tried again.
			name = strings.ToLower(name)
		}
		if old, ok := h[name]; ok {
			h[name] = append(old, f.Value)
			continue
		}
		values[i] = f.Value
		h[name] = values[i : i+1 : i+1]
	}
	delete(h, "Trailer") // net/http writes it from the trailers
	if x.Request.Protocol == exchange.HTTP10 {
		delete(h, "Expect") // nobody would pass the 100 on (RFC 9110, section 10.1.1)
	}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = nil // net/http would send its own
	}
	if wantsSwitch(x) {
		h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{webSocket}
	}
	if x.AcceptTrailers && w.h2c {
		h["Te"] = []string{"trailers"} // gRPC asks for it. Over http/1.1 a Connection field would have to name it, for nothing: servers send trailers unasked
	}
	return h
}

// answerTrailers are the trailers of an answer that may go on.
func answerTrailers(h http.Header) exchange.Fields {
	trailers := appendHeader(nil, h)
	trailers.DelFunc(func(f exchange.Field) bool { return !isAnswerTrailer(f.Name) })
	return trailers
}

// announced fills in the names of the trailers that the visitor announced: some servers, Go's among them, hand over
// no others. Those that nobody announced are sent all the same.
func announced(x *exchange.Exchange, trailers http.Header) {
	for v := range x.Request.Fields.Values("Trailer") {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.TrimSpace(name); isRequestTrailer(x, name) {
				trailers[textproto.CanonicalMIMEHeaderKey(name)] = nil
			}
		}
	}
}

// trailingBody fills in the trailers when the body has ended, which is when net/http sends them.
type trailingBody struct {
	*requestBody
	trailers http.Header
}

// Read is for the transport.
func (b *trailingBody) Read(p []byte) (int, error) {
	n, err := b.requestBody.Read(p)
	if errors.Is(err, io.EOF) {
		for _, f := range b.x.Request.Trailers {
			if isRequestTrailer(b.x, f.Name) {
				b.trailers.Add(f.Name, f.Value)
			}
		}
	}
	return n, err
}

// appendHeader appends the fields of an answer's head or trailers that are not for this connection only.
func appendHeader(fields exchange.Fields, h http.Header) exchange.Fields {
	begin := len(fields)
	for name, values := range h {
		if isHop(name) || namedByConnection(h, name) {
			continue
		}
		for _, v := range values {
			fields = append(fields, exchange.Field{Name: name, Value: v})
		}
	}
	sortFields(fields[begin:])
	return fields
}

func namedByConnection(h http.Header, name string) bool {
	for _, v := range h["Connection"] {
		for token := range strings.SplitSeq(v, ",") {
			if exchange.EqualName(strings.Trim(token, " \t"), name) {
				return true
			}
		}
	}
	return false
}
