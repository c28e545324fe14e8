//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A probe asks a host so many times a second over connections that it keeps, whatever becomes of the answers: an open loop.
type probe struct {
	address string
	host    string
	terms   *tls.Config
	lines   int           // connections
	each    int           // requests a second on each of them
	request func() string // nil: GET /
}

// A quality is what a probe's visitors saw.
type quality struct {
	Asked int           `json:"asked"`
	Lost  int           `json:"lost"` // not answered, or not with 200
	P50   time.Duration `json:"p50_ns"`
	P99   time.Duration `json:"p99_ns"`
	Why   string        `json:"why,omitempty"` // the first was lost
}

// run asks until ctx is done or should is over, and leaves out what was due in the time of opening.
func (p probe) run(ctx context.Context, should, opening time.Duration) quality {
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		took []time.Duration
		q    quality
	)
	begin := time.Now().Add(50 * time.Millisecond)
	period := time.Second / time.Duration(p.each)
	for i := range p.lines {
		all.Go(func() {
			v := visitor{probe: p}
			defer v.leave()
			due := begin.Add(period * time.Duration(i) / time.Duration(p.lines))
			for ; due.Before(begin.Add(should)) && ctx.Err() == nil; due = due.Add(period) {
				t, err := v.ask(ctx, due)
				if due.Before(begin.Add(opening)) && err == nil {
					continue
				}
				mu.Lock()
				q.Asked++
				if took = append(took, t); err != nil && ctx.Err() == nil {
					if q.Lost++; q.Lost == 1 {
						q.Why = err.Error()
					}
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	q.P50, q.P99 = percentile(took, 0.50), percentile(took, 0.99)
	return q
}

func percentile(took []time.Duration, share float64) time.Duration {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[int(float64(len(took)-1)*share)]
}

// A visitor asks on one connection, one request after the other.
type visitor struct {
	probe
	conn *tls.Conn // nil: none yet, or broken
	in   *bufio.Reader
}

func (v *visitor) leave() {
	if v.conn != nil {
		v.conn.Close()
		v.conn = nil
	}
}

// ask sends a request when it is due, or as soon as the one before was answered, and returns the time from when it was due to
// its answer's end. A timer that goes off late is this program's fault and not the server's, so the time begins after it.
func (v *visitor) ask(ctx context.Context, due time.Time) (time.Duration, error) {
	const patience = 5 * time.Second
	if wait := time.Until(due); wait > 0 {
		if err := sleep(ctx, wait); err != nil {
			return 0, err
		}
		due = time.Now()
	}
	err := v.exchange(ctx, time.Now().Add(patience))
	if err != nil {
		v.leave()
	}
	return time.Since(due), err
}

func (v *visitor) exchange(ctx context.Context, end time.Time) error {
	if v.conn == nil {
		c, err := connect(ctx, v.address, v.terms)
		if err != nil {
			return err
		}
		v.conn, v.in = c, bufio.NewReader(c)
	}
	if err := v.conn.SetDeadline(end); err != nil {
		return err
	}
	request := fmt.Sprintf("GET / HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\n\r\n", v.host)
	if v.request != nil {
		request = v.request()
	}
	if _, err := io.WriteString(v.conn, request); err != nil {
		return err
	}
	answer, err := http.ReadResponse(v.in, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.Close {
		v.leave()
	}
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return nil
}

// newcomers visit one at a time, each by a handshake of his own, so many a second, until should is over.
func newcomers(ctx context.Context, address string, terms *tls.Config, from net.IP, each int, should time.Duration) quality {
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		took []time.Duration
		q    quality
	)
	begin := time.Now()
	for due := begin; due.Before(begin.Add(should)); due = due.Add(time.Second / time.Duration(each)) {
		if sleep(ctx, time.Until(due)) != nil {
			break
		}
		all.Go(func() {
			at := time.Now()
			err := visitFrom(ctx, address, terms, from)
			mu.Lock()
			defer mu.Unlock()
			q.Asked++
			if took = append(took, time.Since(at)); err != nil && ctx.Err() == nil {
				if q.Lost++; q.Lost == 1 {
					q.Why = err.Error()
				}
			}
		})
	}
	all.Wait()
	q.P50, q.P99 = percentile(took, 0.50), percentile(took, 0.99)
	return q
}
