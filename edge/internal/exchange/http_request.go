package exchange

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// newRequest builds what net/http's server would have built of the same bytes.
func newRequest(ctx context.Context, x *Exchange) (*http.Request, *requestBody, error) {
	var own cloner
	own.grow(x)
	uri := own.clone(x.RawPath)
	if x.HasQuery {
		uri = own.join(uri, "?", x.RawQuery)
	}
	u, err := url.ParseRequestURI(uri)
	if err != nil {
		return nil, nil, err
	}
	r := &http.Request{
		Method:        own.clone(x.Method),
		URL:           u,
		Header:        own.header(x),
		ContentLength: x.Request.Length,
		Host:          own.clone(x.Host),
		RemoteAddr:    remoteAddr(x),
		RequestURI:    uri,
		TLS:           x.TLS,
	}
	setProtocol(r, x.Protocol)
	takeTrailer(r)
	if r.Trailer == nil && x.Request.Length < 0 {
		r.Trailer = make(http.Header) // so that copies of the request see undeclared ones too
	}
	r = r.WithContext(ctx)
	body := &requestBody{x: x, r: r}
	r.Body = body
	if x.Request.Length == 0 {
		r.Body = http.NoBody
	}
	return r, body, nil
}

func setProtocol(r *http.Request, p Protocol) {
	r.Proto = p.String()
	switch p {
	case HTTP10:
		r.ProtoMajor = 1
	case HTTP11:
		r.ProtoMajor, r.ProtoMinor = 1, 1
		if r.ContentLength < 0 {
			r.TransferEncoding = []string{"chunked"}
		}
	case HTTP2:
		r.ProtoMajor = 2
	case HTTP3:
		r.ProtoMajor = 3
	}
}

// takeTrailer turns the Trailer field into keys of r.Trailer, whose values come after the body.
func takeTrailer(r *http.Request) {
	for _, list := range r.Header["Trailer"] {
		for name := range strings.SplitSeq(list, ",") {
			if name = textproto.TrimString(name); isTrailer(name) {
				if r.Trailer == nil {
					r.Trailer = make(http.Header)
				}
				r.Trailer[http.CanonicalHeaderKey(name)] = nil
			}
		}
	}
	delete(r.Header, "Trailer")
}

func remoteAddr(x *Exchange) string {
	switch {
	case x.Client.IsValid() && x.Client != x.Peer.Addr() && x.Client != x.Peer.Addr().Unmap():
		return netip.AddrPortFrom(x.Client, 0).String()
	case x.Peer.IsValid():
		return netip.AddrPortFrom(x.Peer.Addr().Unmap(), x.Peer.Port()).String()
	default:
		return ""
	}
}

// A cloner copies strings into one piece of memory.
type cloner struct{ b strings.Builder }

func (c *cloner) grow(x *Exchange) {
	n := len(x.Method) + len(x.Host) + 2*len(x.RawPath) + len("?") + len(x.RawQuery) + len(x.ID) + len(x.Request.Upgrade)
	for i := range x.Fields {
		n += len(x.Fields[i].Name) + len(x.Fields[i].Value)
	}
	c.b.Grow(n)
}

func (c *cloner) clone(s string) string { return c.join(s) }

func (c *cloner) join(parts ...string) string {
	start := c.b.Len()
	for _, s := range parts {
		c.b.WriteString(s)
	}
	return c.b.String()[start:]
}

// header returns the fields with those that the front and the chain keep elsewhere.
func (c *cloner) header(x *Exchange) http.Header {
	h := make(http.Header, len(x.Fields)+4)
	values := make([]string, len(x.Fields)) // one piece of memory for all lists of one
	for i := range x.Fields {
		name := textproto.CanonicalMIMEHeaderKey(c.clone(x.Fields[i].Name))
		value := c.clone(x.Fields[i].Value)
		if list, ok := h[name]; ok {
			h[name] = append(list, value)
			continue
		}
		values[i] = value
		h[name] = values[i : i+1 : i+1]
	}
	if x.Request.Length > 0 {
		h["Content-Length"] = []string{strconv.FormatInt(x.Request.Length, 10)}
	}
	if x.Request.Upgrade != "" {
		h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{c.clone(x.Request.Upgrade)}
	}
	if x.AcceptTrailers {
		h["Te"] = []string{"trailers"}
	}
	if x.ID != "" {
		h["X-Request-Id"] = []string{c.clone(x.ID)}
	}
	if x.TLS == nil && x.Scheme == "https" {
		h["X-Forwarded-Proto"] = []string{"https"}
	}
	return h
}

// requestBody is the exchange's body as long as the http.Handler runs. Its Close waits for a Read that goes on.
type requestBody struct {
	mu     sync.Mutex
	x      *Exchange
	r      *http.Request
	closed bool
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.x.Body.Read(p)
	switch {
	case err == io.EOF: //nolint:errorlint // an io.Reader returns io.EOF itself
		b.takeTrailers()
	case errors.Is(err, ErrBodyTooLarge):
		err = errors.Join(err, &http.MaxBytesError{Limit: b.x.limit.max})
	}
	return n, err
}

func (b *requestBody) takeTrailers() {
	for _, f := range b.x.Trailers {
		if b.r.Trailer == nil {
			b.r.Trailer = make(http.Header)
		}
		b.r.Trailer.Add(strings.Clone(f.Name), strings.Clone(f.Value))
	}
}

func (b *requestBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}
