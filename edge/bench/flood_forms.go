//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// formLines is over how many connections forms are flooded.
const formLines = 64

// floodForms posts a form at a rate, over many connections, which are opened anew when they are closed. It sends whether or not what it
// sent before was answered, as far as the connection takes it. A quarter of the connections doesn't wait after a refusal,
// but begins anew. At rate 0 each connection sends when it has been answered.
func floodForms(ctx context.Context, a floodArgs) (flooding, error) {
	terms, err := trusting(filepath.Join(a.folder, "cert.pem"))
	if err != nil {
		return flooding{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, a.should)
	defer cancel()
	f := formFlood{a: a, terms: terms}
	var all sync.WaitGroup
	for i := range formLines {
		all.Go(func() { f.line(ctx, i) })
	}
	all.Wait()
	did := flooding{
		Offered: int(float64(a.rate) * a.should.Seconds()), Taken: int(f.taken.Load()), Accepted: int(f.accepted.Load()), Refused: int(f.refused.Load()),
		Other: int(f.other.Load()), Lines: int(f.lines.Load()), Failed: int(f.failed.Load()),
	}
	did.Silent = did.Taken - did.Accepted - did.Refused - did.Other
	if why, ok := f.why.Load().(string); ok {
		did.Why = why
	}
	return did, nil
}

type formFlood struct {
	a     floodArgs
	terms *tls.Config

	taken, accepted, refused, other, lines, failed atomic.Int64
	why                                            atomic.Value
}

// line floods over one connection after the other.
func (f *formFlood) line(ctx context.Context, i int) {
	source := floodSource(i)
	for ctx.Err() == nil {
		c, err := connectFrom(ctx, fmt.Sprintf("127.0.0.1:%d", f.a.port), f.terms, net.IP(source[:]))
		if err != nil {
			if ctx.Err() == nil {
				f.failed.Add(1)
				f.why.CompareAndSwap(nil, err.Error())
			}
			_ = sleep(ctx, 10*time.Millisecond) // one that refuses connections is asked a hundred times a second, on each of them
			continue
		}
		f.lines.Add(1)
		f.use(ctx, c, i%4 == 0)
	}
}

// post is a form as a browser sends it.
var post = fmt.Sprintf("POST /forms/contact HTTP/1.1\r\nHost: %s\r\nUser-Agent: flood\r\nOrigin: https://%s\r\nAccept: application/json\r\n"+
	"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", hosts[1], hosts[1], len(formBody), formBody)

const formBody = "email=visitor%40example.com&name=Somebody&message=How+much+is+the+fish%3F+The+quick+brown+fox+jumps+over+the+lazy+dog."

// use floods over c until it or ctx ends, or, if it is restless, until it was refused something.
func (f *formFlood) use(ctx context.Context, c *tls.Conn, restless bool) {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.NetConn().Close() })
	defer stop()
	_ = c.SetDeadline(time.Now().Add(f.a.should)) // fails on a closed connection only
	in := bufio.NewReaderSize(c, 16<<10)
	if f.a.rate == 0 {
		for {
			if _, err := io.WriteString(c, post); err != nil {
				return
			}
			f.taken.Add(1)
			if refused, err := f.hear(in); err != nil || refused && restless {
				return
			}
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer c.NetConn().Close()
		for {
			if refused, err := f.hear(in); err != nil || refused && restless {
				return
			}
		}
	}()
	f.send(c)
	c.NetConn().Close()
	<-ended
}

// send sends at the line's share of the rate until c ends.
func (f *formFlood) send(c net.Conn) {
	const step, most = 5 * time.Millisecond, 64
	began, sent := time.Now(), 0
	rate := float64(f.a.rate) / formLines
	for {
		time.Sleep(step)
		due := min(int(time.Since(began).Seconds()*rate)-sent, most)
		if due <= 0 {
			continue
		}
		if _, err := io.WriteString(c, strings.Repeat(post, due)); err != nil {
			return
		}
		sent += due
		f.taken.Add(int64(due))
	}
}

// hear reads one answer and counts it.
func (f *formFlood) hear(in *bufio.Reader) (refused bool, err error) {
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		return false, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	switch s := answer.StatusCode; {
	case s < http.StatusBadRequest:
		f.accepted.Add(1)
	case s == http.StatusTooManyRequests || s == http.StatusServiceUnavailable:
		f.refused.Add(1)
		return true, err
	default:
		f.other.Add(1)
		f.why.CompareAndSwap(nil, answer.Status)
	}
	return false, err
}
