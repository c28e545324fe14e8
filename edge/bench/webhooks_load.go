//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// deliveries sends what GitHub sends, to one server.
type deliveries struct {
	address string
	terms   *tls.Config
	head    string // of a request, up to its id
	tail    string // what comes after that
}

const (
	webhookSecret = "what only the two of us know"
	webhookBody   = 1 << 10 // bytes
)

func (b *bench) deliveries(s *server) (*deliveries, error) {
	terms, err := trusting(filepath.Join(b.folder, "cert.pem"))
	if err != nil {
		return nil, err
	}
	l := &deliveries{address: fmt.Sprintf("127.0.0.1:%d", s.port), terms: terms}
	l.head, l.tail = webhookRequest(hosts[0])
	return l, nil
}

// webhookRequest is a signed delivery, around the id that it is told from others by.
func webhookRequest(host string) (before, after string) {
	body := webhookText()
	mac := hmac.New(sha256.New, []byte(webhookSecret))
	_, _ = io.WriteString(mac, body) // never fails
	before = "POST /hooks/github HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: GitHub-Hookshot/044aadd\r\nAccept: */*\r\nContent-Type: application/json\r\n" +
		"X-GitHub-Event: push\r\nX-GitHub-Hook-ID: 292430182\r\nX-GitHub-Hook-Installation-Target-ID: 79929171\r\nX-GitHub-Hook-Installation-Target-Type: repository\r\n" +
		"X-Hub-Signature-256: sha256=" + hex.EncodeToString(mac.Sum(nil)) + "\r\nX-GitHub-Delivery: "
	return before, fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func webhookText() string {
	const before, after = `{"ref":"refs/heads/main","note":"`, `"}`
	return before + strings.Repeat("x", webhookBody-len(before)-len(after)) + after
}

// newEvent is an id as GitHub gives its deliveries.
func newEvent() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

func (l *deliveries) request() string { return l.head + newEvent() + l.tail }

// saturate sends deliveries over so many connections, on each as soon as the one before was acknowledged, and returns how many a second were. All have to be.
func (l *deliveries) saturate(ctx context.Context, lines int, should time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, should+30*time.Second)
	defer cancel()
	conns := make([]*tls.Conn, lines)
	for i := range conns {
		c, err := connect(ctx, l.address, l.terms)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		conns[i] = c
	}
	var all sync.WaitGroup
	var done atomic.Int64
	errs := make([]error, lines)
	began := time.Now()
	end := began.Add(should)
	for i, c := range conns {
		all.Go(func() {
			in := bufio.NewReader(c)
			for time.Now().Before(end) && errs[i] == nil && ctx.Err() == nil {
				if errs[i] = l.deliver(c, in); errs[i] == nil {
					done.Add(1)
				}
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	return float64(done.Load()) / took.Seconds(), errors.Join(append(errs, ctx.Err())...)
}

// untilKept sends deliveries until one is kept in the store: a server that has just started counts what is there, and puts aside on its disk (202) what comes meanwhile.
func (l *deliveries) untilKept(ctx context.Context) error {
	const patience = time.Minute
	for began := time.Now(); ; {
		_, err := l.saturate(ctx, 1, warming)
		if err == nil || time.Since(began) > patience || ctx.Err() != nil {
			return err
		}
	}
}

// deliver sends one delivery and waits until it is acknowledged.
func (l *deliveries) deliver(c *tls.Conn, in *bufio.Reader) error {
	const patience = 20 * time.Second
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, l.request()); err != nil {
		return err
	}
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("a delivery is answered with %s: %s", answer.Status, text)
	}
	return err
}

// pace sends so many deliveries a second over a few connections, each when it is due, whatever becomes of those before. All have to be acknowledged.
func (l *deliveries) pace(ctx context.Context, rate float64, should time.Duration) (quality, error) {
	const opening = time.Second // in which the connections are made
	p := probe{address: l.address, terms: l.terms, lines: probeLines, each: max(1, int(rate)/probeLines), request: l.request}
	q := p.run(ctx, should+opening, opening)
	if q.Lost > 0 {
		return q, fmt.Errorf("%d of %d deliveries were not acknowledged: %s", q.Lost, q.Asked, q.Why)
	}
	return q, ctx.Err()
}
