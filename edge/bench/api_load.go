//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// callers ask one server over plain connections that they keep, on each as soon as the request before was answered: a closed loop.
type callers struct {
	address string
	request func(n int) string // the nth, of all that are made
	made    *atomic.Int64      // how many were
	most    int64              // of them; 0: as many as there is time for
}

// run asks for as long as it should. An answer that is not 2xx is an error, and the first of them ends it.
func (c callers) run(ctx context.Context, lines int, should time.Duration) (o outcome, err error) {
	ctx, cancel := context.WithTimeout(ctx, should+30*time.Second)
	defer cancel()
	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		times []time.Duration
		errs  []error
	)
	began := time.Now()
	for range lines {
		all.Go(func() {
			took, err := c.line(ctx, began.Add(should))
			mu.Lock()
			defer mu.Unlock()
			times = append(times, took...)
			if err != nil {
				errs = append(errs, err)
				cancel()
			}
		})
	}
	all.Wait()
	o.took, o.requests, o.errors = time.Since(began), len(times), len(errs)
	o.p50, o.p99 = percentile(times, 0.50), percentile(times, 0.99)
	if len(errs) > 0 {
		return o, errs[0]
	}
	return o, ctx.Err()
}

// line asks on one connection, and returns how long each answer took.
func (c callers) line(ctx context.Context, end time.Time) (took []time.Duration, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	in := bufio.NewReaderSize(conn, 32<<10)
	for ctx.Err() == nil {
		began := time.Now()
		if !began.Before(end) {
			return took, nil
		}
		n := c.made.Add(1)
		if c.most > 0 && n > c.most {
			return took, nil
		}
		if err := exchange(conn, in, c.request(int(n))); err != nil {
			return took, err
		}
		took = append(took, time.Since(began))
	}
	return took, ctx.Err()
}

// exchange sends a request and reads its answer, which should be of the 200s and leave the connection open.
func exchange(out io.Writer, in *bufio.Reader, request string) error {
	if _, err := io.WriteString(out, request); err != nil {
		return err
	}
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10)) // for the message only
		return fmt.Errorf("%s: %s", answer.Status, text)
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.Close {
		return errors.New("it closes the connection after an answer")
	}
	return nil
}

// check is why o is no measurement.
func (o outcome) check() error {
	if o.errors > 0 || o.requests == 0 {
		return fmt.Errorf("%d requests went well, %d did not", o.requests, o.errors)
	}
	return nil
}

// requestText is a request as it goes over a connection that stays, with a body of JSON or none.
func requestText(path, body string) string {
	if body == "" {
		return "GET " + path + " HTTP/1.1\r\nHost: " + apiHost + "\r\nAccept: */*\r\n\r\n"
	}
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, apiHost, len(body), body)
}
