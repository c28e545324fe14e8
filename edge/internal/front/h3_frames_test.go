package front

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"
)

// The types of frames (RFC 9114, section 7.2).
const (
	h3Data     = 0x0
	h3Headers  = 0x1
	h3Settings = 0x4
	h3GoAway   = 0x7
)

// h3visitor is one who speaks HTTP/3 frame by frame.
type h3visitor struct {
	t    testing.TB
	conn *quic.Conn
}

func (h *host) visitH3() *h3visitor {
	h.t.Helper()
	return h.visitH3With(&quic.Config{})
}

func (h *host) visitH3With(config *quic.Config) *h3visitor {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 10*time.Second)
	defer cancel()
	conn, err := quic.DialAddr(ctx, h.quic(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}}, config)
	if err != nil {
		h.t.Fatal(err)
	}
	v := &h3visitor{h.t, conn}
	h.t.Cleanup(func() { v.leave() })
	control, err := conn.OpenUniStream()
	v.check(err)
	_, err = control.Write(append([]byte{0}, h3Frame(h3Settings, nil)...))
	v.check(err)
	return v
}

func (v *h3visitor) leave() {
	v.conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
}

func (v *h3visitor) check(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

// ended waits for the end of the connection, and tells with which code the server closed it.
func (v *h3visitor) ended() http3.ErrCode {
	v.t.Helper()
	select {
	case <-v.conn.Context().Done():
	case <-time.After(10 * time.Second):
		v.t.Fatal("the connection goes on")
	}
	var why *quic.ApplicationError
	if !errors.As(context.Cause(v.conn.Context()), &why) {
		v.t.Fatalf("ended by %v", context.Cause(v.conn.Context()))
	}
	return http3.ErrCode(why.ErrorCode)
}

// goneAway waits for GOAWAY on the server's control stream.
func (v *h3visitor) goneAway() {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), 10*time.Second)
	defer cancel()
	control, err := v.conn.AcceptUniStream(ctx)
	v.check(err)
	r := quicvarint.NewReader(control)
	if kind, err := quicvarint.Read(r); err != nil || kind != 0 {
		v.t.Fatalf("stream of type %d, %v", kind, err)
	}
	for {
		kind, _, err := readH3Frame(r)
		v.check(err)
		if kind == h3GoAway {
			return
		}
	}
}

// A request stream of a visitor.
type h3request struct {
	*quic.Stream
	t testing.TB
}

func (v *h3visitor) open() *h3request {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), 10*time.Second)
	defer cancel()
	s, err := v.conn.OpenStreamSync(ctx)
	v.check(err)
	s.SetDeadline(time.Now().Add(10 * time.Second))
	return &h3request{s, v.t}
}

// ask opens a stream with a head, as frames.head does for h2.
func (v *h3visitor) ask(end bool, fields ...string) *h3request {
	v.t.Helper()
	r := v.open()
	r.send(h3Headers, h3Head(fields...))
	if end {
		r.Close()
	}
	return r
}

func (r *h3request) send(kind uint64, payload []byte) {
	r.t.Helper()
	_, err := r.Write(h3Frame(kind, payload))
	if stopped, ok := errors.AsType[*quic.StreamError](err); ok && stopped.ErrorCode == quic.StreamErrorCode(http3.ErrCodeNoError) {
		return // who has answered need not hear the rest (RFC 9114, section 4.1)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func h3Frame(kind uint64, payload []byte) []byte {
	b := quicvarint.Append(quicvarint.Append(nil, kind), uint64(len(payload)))
	return append(b, payload...)
}

func readH3Frame(r quicvarint.Reader) (kind uint64, payload []byte, err error) {
	if kind, err = quicvarint.Read(r); err != nil {
		return 0, nil, err
	}
	length, err := quicvarint.Read(r)
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, length)
	n, err := io.ReadFull(r, payload)
	return kind, payload[:n], err
}

func h3Head(fields ...string) []byte {
	pseudo := []string{":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a.test"}
	var regular []string
	for i := 0; i < len(fields); i += 2 {
		if !strings.HasPrefix(fields[i], ":") {
			regular = append(regular, fields[i:i+2]...)
			continue
		}
		if j := slices.Index(pseudo, fields[i]); j >= 0 {
			pseudo[j+1] = fields[i+1]
		} else {
			pseudo = append(pseudo, fields[i:i+2]...)
		}
	}
	return h3Block(append(pseudo, regular...)...)
}

func h3Block(fields ...string) []byte {
	var block bytes.Buffer
	encoder := qpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		if fields[i+1] != "-" {
			encoder.WriteField(qpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}
	}
	return block.Bytes()
}

// h3answer is what came on a stream until its end.
type h3answer struct {
	hints  []string // statuses
	status string
	fields http.Header
	body   string
	whole  bool
	reset  http3.ErrCode // 0: none
}

func (r *h3request) answer() (a h3answer) {
	r.t.Helper()
	a.frames(r)
	return a
}

// frames reads on to the end.
func (a *h3answer) frames(r *h3request) {
	r.t.Helper()
	in := quicvarint.NewReader(r.Stream)
	for {
		kind, payload, err := readH3Frame(in)
		if kind == h3Data {
			a.body += string(payload)
		}
		var reset *quic.StreamError
		switch {
		case errors.As(err, &reset):
			a.reset = http3.ErrCode(reset.ErrorCode)
			return
		case errors.Is(err, io.EOF):
			a.whole = a.status != ""
			return
		case err != nil:
			r.t.Fatalf("reading an answer: %v", err)
		case kind == h3Headers:
			a.head(r.t, payload)
		}
	}
}

func (a *h3answer) head(t testing.TB, block []byte) {
	t.Helper()
	if a.status != "" {
		return // trailers
	}
	a.fields = http.Header{}
	next := qpack.NewDecoder().Decode(block)
	for {
		f, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		a.fields.Add(f.Name, f.Value)
	}
	status := a.fields[":status"][0]
	if status[0] == '1' {
		a.hints = append(a.hints, status)
		return
	}
	a.status = status
}

// udpFromElsewhere is a socket whose visitors seem to come from another host.
type udpFromElsewhere struct{ net.PacketConn }

func (u udpFromElsewhere) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := u.PacketConn.ReadFrom(p)
	return n, moved(from, "192.0.2.1"), err
}

func (u udpFromElsewhere) WriteTo(p []byte, to net.Addr) (int, error) {
	return u.PacketConn.WriteTo(p, moved(to, "127.0.0.1"))
}

func moved(a net.Addr, to string) net.Addr {
	udp, ok := a.(*net.UDPAddr)
	if !ok {
		return a
	}
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(to), udp.AddrPort().Port()))
}
