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
	"sync"
	"sync/atomic"
	"time"
)

// handshakes connects, asks for / and closes, 16 at a time, for as long as it should.
func handshakes(ctx context.Context, address string, terms *tls.Config, should time.Duration) outcome {
	const atOnce = 16
	var good, bad atomic.Int64
	began := time.Now()
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for time.Since(began) < should && ctx.Err() == nil {
				if err := visit(ctx, address, terms); err != nil {
					bad.Add(1)
					time.Sleep(time.Millisecond) // one that refuses connections would be hammered
				} else {
					good.Add(1)
				}
			}
		})
	}
	all.Wait()
	return outcome{requests: int(good.Load()), errors: int(bad.Load()), took: time.Since(began)}
}

// visit is one full handshake and one request.
func visit(ctx context.Context, address string, terms *tls.Config) error {
	return visitFrom(ctx, address, terms, nil)
}

// visitFrom visits from an address of this machine; nil: any.
func visitFrom(ctx context.Context, address string, terms *tls.Config, from net.IP) error {
	c, err := connectFrom(ctx, address, terms, from)
	if err != nil {
		return err
	}
	defer c.Close() // by reset, of which see below
	if c.ConnectionState().DidResume {
		return errors.New("a session was resumed")
	}
	_, err = ask(c, "close")
	return err
}

// connect shakes hands with who listens on address. All that is done with the connection has to be done within 10 s.
func connect(ctx context.Context, address string, terms *tls.Config) (*tls.Conn, error) {
	return connectFrom(ctx, address, terms, nil)
}

func connectFrom(ctx context.Context, address string, terms *tls.Config, from net.IP) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var dialer net.Dialer
	if from != nil {
		dialer.LocalAddr = &net.TCPAddr{IP: from}
	}
	raw, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // reset at the end: thousands in TIME_WAIT would use up the ports
	}
	_ = raw.SetDeadline(time.Now().Add(10 * time.Second)) // fails on a closed connection only, which the handshake says
	c := tls.Client(raw, terms)
	if err := c.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return c, nil
}

// ask sends one request and reads the answer, of which it returns the size. Every status but 200 is an error.
func ask(c net.Conn, connection string) (int64, error) {
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nConnection: %s\r\n\r\n", hosts[0], connection); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("GET /: %s", response.Status)
	}
	return io.Copy(io.Discard, response.Body)
}

// hold opens n connections, asks once on each, and returns them.
func hold(ctx context.Context, n int, address string, terms *tls.Config) (held []net.Conn, err error) {
	defer func() {
		if err != nil {
			closeAll(held)
		}
	}()
	for range n {
		c, err := connect(ctx, address, terms)
		if err != nil {
			return held, fmt.Errorf("connection %d of %d: %w", len(held)+1, n, err)
		}
		held = append(held, c)
		if _, err := ask(c, "keep-alive"); err != nil {
			return held, fmt.Errorf("connection %d of %d: %w", len(held), n, err)
		}
	}
	return held, ctx.Err()
}

func closeAll(connections []net.Conn) {
	for _, c := range connections {
		c.Close()
	}
}
