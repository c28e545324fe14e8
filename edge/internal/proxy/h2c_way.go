package proxy

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// h2cWay is a way by HTTP/2 without TLS, over net/http's Transport.
type h2cWay struct {
	transport *http.Transport
	host      string // names the target where the request itself does not
}

func newH2CWay(d *dialer, host string) *h2cWay {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	return &h2cWay{
		host: host,
		transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				c, _, err := d.dial(ctx)
				return c, err
			},
			Protocols:              &protocols,
			HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
			DisableCompression:     true,
			MaxConnsPerHost:        maxRequests,
			IdleConnTimeout:        idleConns,
			ExpectContinueTimeout:  expectTimeout,
			MaxResponseHeaderBytes: maxAnswerHead,
		},
	}
}

// Close closes idle connections. Those in use are not kept when they are done with.
func (w *h2cWay) Close() error {
	w.transport.CloseIdleConnections()
	return nil
}

func (*h2cWay) switches() bool { return false }

func (w *h2cWay) send(a *attempt) (*answer, error) {
	t := &h2cTrip{a: a, start: time.Now()}
	resp, err := w.transport.RoundTrip(w.request(a).WithContext(httptrace.WithClientTrace(a.context(), t.hooks())))
	a.progress = t.end()
	if err != nil {
		return nil, err
	}
	ans := &answer{
		status: resp.StatusCode,
		fields: appendHeader(a.x.Response.Fields, resp.Header),
		length: resp.ContentLength,
		body:   &h2cBody{ReadCloser: resp.Body, trailer: &resp.Trailer},
	}
	for name := range resp.Trailer {
		if isAnswerTrailer(name) {
			ans.announced.Add(name, "")
		}
	}
	if resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified {
		ans.length = lengthOf(resp.Header) // net/http says 0, which only an answer with a body would say
	}
	if !isSound(ans) {
		_ = resp.Body.Close()
		return nil, errBadAnswer
	}
	return ans, nil
}

// isSound reports whether an answer may be passed on: what our own parsers would refuse from a visitor is not sent to one.
func isSound(ans *answer) bool {
	if ans.status < 200 || ans.status > 599 || len(ans.fields) > maxAnswerFields {
		return false
	}
	return !slices.ContainsFunc(ans.fields, func(f exchange.Field) bool {
		return !exchange.IsToken(f.Name) || !exchange.IsFieldValue(f.Value)
	})
}

// lengthOf is the length that a head declares, -1 for none.
func lengthOf(h http.Header) int64 {
	n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// request is the request as net/http wants it. Whatever is in it is a copy: net/http may look at it after it has given up.
func (w *h2cWay) request(a *attempt) *http.Request {
	x := a.x
	r := &http.Request{
		Method:        strings.Clone(x.Method),
		URL:           w.url(x),
		Host:          strings.Clone(x.Host),
		Header:        header(x),
		ContentLength: x.Request.Length,
	}
	switch {
	case a.small != nil:
		r.Body = io.NopCloser(bytes.NewReader(bytes.Clone(a.small)))
	case a.body != nil:
		r.Body = a.body
	}
	if a.body != nil && x.Request.Length < 0 {
		r.Trailer = make(http.Header)
		announced(x, r.Trailer)
		a.body.atEnd = func() { addTrailers(x, r.Trailer) } // which is when net/http sends them
	}
	return r
}

// url makes net/http send path and query byte by byte as they came.
func (w *h2cWay) url(x *exchange.Exchange) *url.URL {
	u := &url.URL{Scheme: "http", Host: w.host, Opaque: strings.Clone(x.RawPath), RawQuery: strings.Clone(x.RawQuery), ForceQuery: x.HasQuery}
	if strings.HasPrefix(x.RawPath, "//") { // net/http would take this for an authority; it cuts scheme and host off
		host := x.Host
		if host == "" {
			host = w.host
		}
		u.Opaque = "http://" + host + x.RawPath
	}
	return u
}

// header is the fields as a map. Nothing is added that was not sent.
func header(x *exchange.Exchange) http.Header {
	fields := x.Request.Fields.Clone()
	h := make(http.Header, len(fields)+1)
	values := make([]string, len(fields))
	for i, f := range fields {
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
	if x.AcceptTrailers {
		h["Te"] = []string{"trailers"} // gRPC asks for it
	}
	return h
}

// announced fills in the names of the trailers that the visitor announced: some servers, Go's among them, hand over
// no others. Those that nobody announced are sent all the same.
func announced(x *exchange.Exchange, trailers http.Header) {
	for v := range x.Request.Fields.Values("Trailer") {
		for name := range namesIn(v) {
			if isRequestTrailer(x, name) {
				trailers[textproto.CanonicalMIMEHeaderKey(name)] = nil
			}
		}
	}
}

// addTrailers adds those that the visitor has sent.
func addTrailers(x *exchange.Exchange, trailers http.Header) {
	for _, f := range x.Request.Trailers.Clone() {
		if isRequestTrailer(x, f.Name) {
			trailers.Add(f.Name, f.Value)
		}
	}
}

// h2cBody is the body of an answer.
type h2cBody struct {
	io.ReadCloser
	trailer *http.Header
}

// ready is of [answerBody]: net/http does not say.
func (*h2cBody) ready() bool { return false }

func (b *h2cBody) trailers() exchange.Fields {
	trailers := appendHeader(nil, *b.trailer)
	trailers.DelFunc(func(f exchange.Field) bool { return !isAnswerTrailer(f.Name) })
	return trailers
}

// appendHeader appends the fields of an answer's head or trailers that are not for this connection only, in one order.
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
	slices.SortStableFunc(fields[begin:], func(a, b exchange.Field) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

func namedByConnection(h http.Header, name string) bool {
	for _, v := range h["Connection"] {
		for option := range namesIn(v) {
			if exchange.EqualName(option, name) {
				return true
			}
		}
	}
	return false
}
