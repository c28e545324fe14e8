package preflight

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/onehost/edge/core/config"
)

// An answer is who answered at a port, as far as that shows.
type answer string

const (
	byEdge   answer = "edge answers"
	byTLS    answer = "somebody answers who has no certificate for the name yet" // edge does that
	byOther  answer = "another server answers"
	refused  answer = "the connection is refused"
	silent   answer = "nothing answers"
	no       answer = "there is no way to it from this host"
	cutOff   answer = "the connection is closed at once"
	unlooked answer = "there was no time left to look"
)

// challenge is where a CA looks for the answer to http-01 (RFC 8555, section 8.3).
const challenge = "/.well-known/acme-challenge/"

// knock asks at one port of one address for the answer to a challenge that nobody was given. Edge always names the
// request. On plain HTTP it redirects it, or says 404; over TLS it may say anything.
func (w world) knock(ctx context.Context, name string, addr netip.Addr, way string) answer {
	scheme, port := "http", w.httpPort
	if way == config.TLSALPN01 {
		scheme, port = "https", w.httpsPort
	}
	step, cancel := context.WithTimeout(ctx, w.patience)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(step, "tcp", net.JoinHostPort(addr.String(), port))
	if err != nil {
		return unanswered(ctx, err)
	}
	defer conn.Close()
	if end, ok := step.Deadline(); ok {
		conn.SetDeadline(end)
	}
	if way == config.TLSALPN01 {
		conn = tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true}) //nolint:gosec // whether there is a good certificate is the question
	}
	req, err := http.NewRequestWithContext(step, http.MethodGet, scheme+"://"+literal(name)+challenge+rand.Text(), nil)
	if err != nil {
		return no
	}
	req.Close = true
	if err := req.Write(conn); err != nil {
		return unanswered(ctx, err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, 64<<10)), req)
	if err != nil {
		return unanswered(ctx, err)
	}
	defer resp.Body.Close()
	redirected := resp.StatusCode >= 301 && resp.StatusCode <= 308
	if resp.Header.Get("X-Request-Id") != "" && (way == config.TLSALPN01 || resp.StatusCode == http.StatusNotFound || redirected) {
		return byEdge
	}
	return byOther
}

// literal writes a name as a URL has it.
func literal(name string) string {
	if strings.Contains(name, ":") {
		return "[" + name + "]"
	}
	return name
}

// unanswered tells why there was no answer.
func unanswered(ctx context.Context, err error) answer {
	_, alert := errors.AsType[tls.AlertError](err)
	op, isOp := errors.AsType[*net.OpError](err)
	end, bounded := ctx.Deadline()
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case ctx.Err() != nil, bounded && !time.Now().Before(end):
		return unlooked
	case alert, isOp && op.Op == "remote error":
		return byTLS
	case noTLS:
		return byOther
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return silent
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return no
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return cutOff
	}
	return byOther // it speaks another protocol
}
