package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

// BenchmarkForward is one GET with the fields of a browser, to a target that costs next to nothing.
func BenchmarkForward(b *testing.B) {
	url := raw(b, func(_ int, c net.Conn, r *bufio.Reader) {
		for readHead(r) != "" {
			if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"); err != nil {
				return
			}
		}
	})
	benchmark(b, to(b, url), "")
}

// BenchmarkForwardBody is the same with a body of 64 KiB each way.
func BenchmarkForwardBody(b *testing.B) {
	body := make([]byte, 64<<10)
	url := app(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(body)
	})
	b.SetBytes(int64(2 * len(body)))
	benchmark(b, to(b, url), string(body))
}

func benchmark(b *testing.B, h exchange.Handler, body string) {
	fields := exchange.Fields{
		{Name: "User-Agent", Value: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
		{Name: "Accept", Value: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		{Name: "Accept-Language", Value: "en"}, {Name: "Accept-Encoding", Value: "gzip, deflate, br, zstd"},
		{Name: "Cookie", Value: "session=0123456789abcdef0123456789abcdef"}, {Name: "Sec-Fetch-Dest", Value: "document"},
	}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		x, r := exchangetest.New("GET", "/articles/42?page=2", exchangetest.Body(body))
		x.Request.Fields = append(x.Request.Fields, fields...)
		b.StartTimer()
		r.Serve(h)
		if r.Status != 200 {
			b.Fatal(r.Status, x.Record.ErrorReason)
		}
	}
}

// BenchmarkForwardedFields is what is added to a request.
func BenchmarkForwardedFields(b *testing.B) {
	p := New(Options{PublicPort: 443})
	x, _ := exchangetest.New("GET", "/")
	b.ReportAllocs()
	for b.Loop() {
		x.Request.Fields = x.Request.Fields[:0]
		p.addForwarded(x)
	}
}
