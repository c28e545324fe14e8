package front

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/onehost/edge/edge/internal/exchange"
)

// client returns net/http's or quic-go's, which speaks only the one protocol.
func (h *host) client(protocol exchange.Protocol) *http.Client {
	client := &http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if protocol == exchange.HTTP3 {
		t := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true, Dial: h.dialQUIC}
		h.t.Cleanup(func() { t.Close() })
		client.Transport = t
		return client
	}
	t := &http.Transport{
		TLSClientConfig:       &tls.Config{InsecureSkipVerify: true},
		DisableCompression:    true,
		Protocols:             new(http.Protocols),
		ExpectContinueTimeout: 10 * time.Second,
	}
	t.Protocols.SetHTTP1(protocol == exchange.HTTP11)
	t.Protocols.SetHTTP2(protocol == exchange.HTTP2)
	h.t.Cleanup(t.CloseIdleConnections)
	client.Transport = t
	return client
}

func (h *host) dialQUIC(ctx context.Context, _ string, tls *tls.Config, config *quic.Config) (*quic.Conn, error) {
	return quic.DialAddr(ctx, h.quic(), tls, config)
}

func (h *host) url(path string) string { return "https://" + h.address + path }

// frames is a visitor who speaks HTTP/2 frame by frame.
type frames struct {
	*http2.Framer
	t       testing.TB
	server  *Server
	conn    net.Conn
	modem   *modem // nil in real time
	block   bytes.Buffer
	encoder *hpack.Encoder
}

func (h *host) frames() *frames {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.address)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return startFrames(h.t, conn)
}

// startFrames sends the preface and settings, and has them acknowledged.
func startFrames(t testing.TB, conn net.Conn, settings ...http2.Setting) *frames {
	t.Helper()
	conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	f := &frames{Framer: http2.NewFramer(conn, conn), t: t, conn: conn}
	f.encoder = hpack.NewEncoder(&f.block)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	f.check(f.WriteSettings(settings...))
	for {
		s, ok := f.next().(*http2.SettingsFrame)
		if ok && s.IsAck() {
			return f
		}
		if ok {
			f.check(f.WriteSettingsAck())
		}
	}
}

func (f *frames) check(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *frames) next() http2.Frame {
	f.t.Helper()
	frame, err := f.ReadFrame()
	if err != nil {
		f.t.Fatalf("reading a frame: %v", err)
	}
	return frame
}

// head sends a head. fields are names and values in turn; those for method, scheme, path and authority have defaults,
// which "-" takes away.
func (f *frames) head(stream uint32, end bool, fields ...string) {
	f.t.Helper()
	pseudo := []string{":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a.test"}
	var regular []string
	for i := 0; i < len(fields); i += 2 {
		if !strings.HasPrefix(fields[i], ":") {
			regular = append(regular, fields[i:i+2]...)
			continue
		}
		for j := 0; j < len(pseudo); j += 2 {
			if pseudo[j] == fields[i] {
				pseudo[j+1] = fields[i+1]
			}
		}
	}
	f.block.Reset()
	for i, all := 0, append(pseudo, regular...); i < len(all); i += 2 {
		if all[i+1] != "-" {
			f.check(f.encoder.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]}))
		}
	}
	block := f.block.Bytes()
	part := block[:min(len(block), h2Frame)]
	block = block[len(part):]
	f.check(f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: part, EndStream: end, EndHeaders: len(block) == 0}))
	for len(block) > 0 {
		part = block[:min(len(block), h2Frame)]
		block = block[len(part):]
		f.check(f.WriteContinuation(stream, len(block) == 0, part))
	}
}

// An h2answer is what came on one stream.
type h2answer struct {
	status  string
	fields  http.Header
	body    string
	trailer http.Header
	hints   []string
	reset   http2.ErrCode // of RST_STREAM
	whole   bool
}

// answer reads until the stream ends. Frames of other streams are dropped.
func (f *frames) answer(stream uint32) h2answer {
	f.t.Helper()
	var a h2answer
	for {
		frame := f.next()
		if frame.Header().StreamID != stream {
			continue
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			h := http.Header{}
			for _, field := range frame.RegularFields() {
				h.Add(field.Name, field.Value)
			}
			switch status := frame.PseudoValue("status"); {
			case strings.HasPrefix(status, "1"):
				a.hints = append(a.hints, status)
			case status == "":
				a.trailer = h
			default:
				a.status, a.fields = status, h
			}
			a.whole = frame.StreamEnded()
		case *http2.DataFrame:
			a.body += string(frame.Data())
			a.whole = frame.StreamEnded()
		case *http2.RSTStreamFrame:
			a.reset = frame.ErrCode
			return a
		}
		if a.whole {
			return a
		}
	}
}

// nextOf reads until a frame of one kind comes.
func nextOf[T http2.Frame](f *frames) T {
	f.t.Helper()
	for {
		if frame, ok := f.next().(T); ok {
			return frame
		}
	}
}

// end reads until the connection ends.
func (f *frames) end() {
	for {
		if _, err := f.ReadFrame(); err != nil {
			return
		}
	}
}
