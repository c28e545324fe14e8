package front

import (
	"io"
	"net"
	"testing"

	"github.com/onehost/edge/edge/internal/exchange"
)

const browserRequest = "GET /assets/app.js?v=1 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: */*\r\nAccept-Language: en-GB,en;q=0.7,de;q=0.3\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nReferer: https://www.example.com/\r\n" +
	"Connection: keep-alive\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nSec-Fetch-Dest: script\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Site: same-origin\r\n\r\n"

// A loop is a connection on which the same request comes n times.
type loop struct {
	tape
	left int
}

func (l *loop) Read(p []byte) (int, error) {
	if len(l.bytes) == 0 {
		if l.left == 0 {
			return 0, io.EOF
		}
		l.left--
		l.bytes = request
	}
	return l.tape.Read(p)
}

var request = []byte(browserRequest)

func keepAlive(n int) {
	body := make([]byte, 1024)
	s := New(Options{Handler: exchange.HandlerFunc(func(x *exchange.Exchange) {
		x.Response.Length = int64(len(body))
		x.Response.Fields.Add("Content-Type", "text/javascript")
		x.Write(body)
	})})
	l := newLine(s, &loop{tape: tape{step: 1 << 20}, left: n})
	newH1(s, l, l, nil).serve()
}

// BenchmarkKeepAlive is one exchange on a connection that is kept, without the kernel.
func BenchmarkKeepAlive(b *testing.B) {
	b.ReportAllocs()
	keepAlive(b.N)
}

// BenchmarkSocket is one exchange over a real connection: mostly system calls and a visitor that costs as much.
func BenchmarkSocket(b *testing.B) {
	body := make([]byte, 1024)
	h := start(b, false, Limits{}, func(x *exchange.Exchange) {
		x.Response.Length = int64(len(body))
		x.Write(body)
	})
	c, err := net.Dial("tcp", h.address)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	answer := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadAtLeast(c, answer, 1024); err != nil {
			b.Fatal(err)
		}
	}
}
