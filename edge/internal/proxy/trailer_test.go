package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

// h2cTrailers is an h2c target that takes requests frame by frame, since Go's server hides trailers that were not
// announced. It answers 204 and passes on what came behind the body.
func h2cTrailers(t *testing.T, got chan<- string) string {
	url := raw(t, func(_ int, c net.Conn, r *bufio.Reader) {
		_, _ = io.ReadFull(r, make([]byte, len(http2.ClientPreface)))
		f := http2.NewFramer(c, r)
		f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		_ = f.WriteSettings()
		for heads := 0; ; {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			if head, ok := frame.(*http2.MetaHeadersFrame); ok {
				if heads++; heads == 1 {
					continue
				}
				lines := ""
				for _, field := range head.Fields {
					lines += field.Name + ": " + field.Value + "\r\n"
				}
				got <- lines
			}
			if h := frame.Header(); h.StreamID != 0 && h.Flags.Has(http2.FlagDataEndStream) {
				if heads == 1 {
					got <- ""
				}
				_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: h.StreamID, EndHeaders: true, EndStream: true, BlockFragment: []byte{0x89}}) // :status 204
				heads = 0
			}
		}
	})
	return strings.Replace(url, "http:", "h2c:", 1)
}

// h1Trailers is the same over http/1.1.
func h1Trailers(t *testing.T, got chan<- string) string {
	return raw(t, func(_ int, c net.Conn, r *bufio.Reader) {
		head := readHead(r)
		chunks := readHead(r)
		_, trailers, _ := strings.Cut(chunks, "0\r\n")
		if trailers = strings.TrimSuffix(trailers, "\r\n"); trailers == "" && strings.Contains(head, "\r\nTrailer:") {
			trailers = "announced in " + head
		}
		got <- trailers
		_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
	})
}

// TestRequestTrailers: announced or not, what may come behind a body does, and what may not does not.
func TestRequestTrailers(t *testing.T) {
	var many strings.Builder
	withBad := func(x *exchange.Exchange) {
		x.Request.Fields.Add("X-User", "as a rule has set it")
		for _, name := range []string{
			"Transfer-Encoding", "content-length", "Host", "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Upgrade", "Trailer",
			"X-Forwarded-For", "x-forwarded-proto", "X-Forwarded-Anything", "Forwarded", "X-Real-IP", "X-Amzn-Trace-Id", "X-Amzn-Mtls-Clientcert",
			"X-Request-Id", "X-User", "Authorization", "Cookie", "Proxy-Authorization", "Expect", "Content-Encoding", "Content-Type",
			"X_Forwarded_For", "X.Sum", "", "Range", "if-none-match", "Cache-Control",
		} {
			x.Request.Trailers.Add(name, "bad")
			x.Request.Fields.Add("Trailer", name)
		}
	}
	for range 50 {
		fmt.Fprintf(&many, "x-many: %s\r\n", strings.Repeat("y", 500))
	}
	for _, tt := range []struct {
		name string
		add  func(*exchange.Exchange)
		want string
	}{
		{"none", func(*exchange.Exchange) {}, ""},
		{"announced", func(x *exchange.Exchange) {
			x.Request.Fields.Add("Trailer", "X-Sum, Content-Digest")
			x.Request.Trailers.Add("x-sum", "7")
		}, "x-sum: 7\r\n"},
		{"not announced", func(x *exchange.Exchange) { x.Request.Trailers.Add("X-Sum", "7") }, "x-sum: 7\r\n"},
		{"larger than a frame", func(x *exchange.Exchange) {
			for range 50 {
				x.Request.Trailers.Add("X-Many", strings.Repeat("y", 500))
			}
		}, many.String()},
		{"that must not go on", withBad, ""},
	} {
		for kind, start := range map[string]func(*testing.T, chan<- string) string{"h1": h1Trailers, "h2c": h2cTrailers} {
			t.Run(tt.name+" over "+kind, func(t *testing.T) {
				got := make(chan string, 1)
				x, r := exchangetest.New("POST", "/", exchangetest.BodyFrom(strings.NewReader("hello"), -1))
				tt.add(x)
				r.Serve(to(t, start(t, got)))
				if r.Status != 204 {
					t.Fatalf("status %d, reason %q", r.Status, x.Record.ErrorReason)
				}
				if g := strings.ToLower(<-got); g != tt.want {
					t.Errorf("%q, want %q", g, tt.want)
				}
			})
		}
	}
}
