package site

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/front"
)

// house is a site behind a front, as the whole program would serve it, less the chain.
type house struct {
	address string
	client  *http.Client // that trusts it and speaks h2
}

// serve serves s over TLS until the end of the test; answered, if there is one, is told of every answer.
func serve(t testing.TB, s *Site, answered chan<- struct{}) *house {
	t.Helper()
	borrowed := httptest.NewUnstartedServer(nil) // has a certificate, and a client that trusts it
	borrowed.EnableHTTP2 = true
	borrowed.StartTLS()
	t.Cleanup(borrowed.Close)
	server := front.New(front.Options{
		Log: slog.New(slog.DiscardHandler),
		TLS: &tls.Config{Certificates: borrowed.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}},
		Handler: exchange.HandlerFunc(func(x *exchange.Exchange) {
			x.Path = x.RawPath
			s.ServeExchange(x)
			if answered != nil {
				answered <- struct{}{}
			}
		}),
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln, true) }()
	t.Cleanup(func() {
		borrowed.Client().CloseIdleConnections()
		_ = ln.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		server.Drain(ctx)
	})
	return &house{address: ln.Addr().String(), client: borrowed.Client()}
}

// TestLargeFilesDoNotMix lets visitors of three files leave in the middle while others read on: nobody gets a byte of
// another file, and the race detector sees no memory that is read and written at once.
func TestLargeFilesDoNotMix(t *testing.T) {
	files := map[string]string{"0.mp4": video(0), "1.mp4": video(1), "2.mp4": video(2)}
	h := serve(t, prepared(t, config.Site{Root: plant(t, files)}, Options{}), nil)
	var wg sync.WaitGroup
	for visitor := range 3 {
		wg.Go(func() {
			for turn := range 6 {
				name := strconv.Itoa((visitor+turn)%3) + ".mp4"
				stays := (visitor+turn)%2 == 0
				answer, err := h.client.Get("https://" + h.address + "/" + name)
				if err != nil {
					t.Error(err)
					return
				}
				want := files[name]
				if !stays {
					want = want[:turn*turn*40_000]
				}
				got := make([]byte, len(want))
				if _, err := io.ReadFull(answer.Body, got); err != nil || string(got) != want || answer.ProtoMajor != 2 {
					t.Errorf("%s over %s: not the first %d bytes, %v", name, answer.Proto, len(want), err)
				}
				_ = answer.Body.Close()
			}
		})
	}
	wg.Wait()
}

// A reader is on a TLS connection of HTTP/1.1 to a site. It takes what comes as it is: only the server's half of the
// cryptography is measured.
type reader struct {
	*tls.Conn
	answered chan struct{}
}

func connect(t testing.TB, s *Site) *reader {
	t.Helper()
	r := &reader{answered: make(chan struct{})}
	conn, err := net.Dial("tcp", serve(t, s, r.answered).address)
	if err != nil {
		t.Fatal(err)
	}
	r.Conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err := r.Handshake(); err != nil {
		t.Fatal(err)
	}
	drained := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, conn)
		close(drained)
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-drained
	})
	return r
}

func (r *reader) get(t testing.TB, request []byte) {
	if _, err := r.Write(request); err != nil {
		t.Fatal(err)
	}
	<-r.answered
}

// cpu is what the process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkOverTLS is a file on a connection that is kept.
func BenchmarkOverTLS(b *testing.B) {
	files := app()
	files["kib.png"], files["mib.png"], files["v.mp4"] = video(1)[:1024], video(1)[:maxPlainFile], video(1)+video(2)+video(3)+video(4)
	s := prepared(b, config.Site{Root: plant(b, files), SPA: true}, Options{})
	for _, path := range []string{"/kib.png", "/" + script, "/mib.png", "/v.mp4"} {
		b.Run(path[1:], func(b *testing.B) {
			r := connect(b, s)
			request := []byte("GET " + path + " HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
				"Accept: */*\r\nAccept-Language: en-GB,en;q=0.7\r\nAccept-Encoding: " + everyCoding + "\r\nReferer: https://www.example.com/\r\nConnection: keep-alive\r\n" +
				"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nSec-Fetch-Dest: script\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Site: same-origin\r\n\r\n")
			for range 3 {
				r.get(b, request) // the first records of a connection are small
			}
			b.ReportAllocs()
			used := cpu()
			for b.Loop() {
				r.get(b, request)
			}
			b.ReportMetric(float64(cpu()-used)/float64(b.N), "cpu-ns/op")
		})
	}
}
