package proxy

import (
	"errors"
	"sync"
	"time"

	"github.com/onehost/edge/edge/internal/http1"
)

// Bounds of the connections to one target. No more are in use than requests are let in (maxRequests).
const (
	maxIdleConns = 256
	// idleConns is how long a connection is kept for the next request. It is below the five seconds after which Node
	// and uvicorn close one, lest a request be sent into a connection that is just being closed.
	idleConns = 4 * time.Second
)

// maxAnswerHead is how large the head of an answer may be, in bytes (ALB: 32 KiB).
const maxAnswerHead = 64 << 10

// An h1Way is a way by HTTP/1.1, plain or on TLS, on TCP or a unix socket. A request is written and its answer read on
// the request's own goroutine; only a body that is not at hand yet is sent on a second one.
type h1Way struct {
	dialer  *dialer
	host    string // names the target where the request itself does not; any name will do for a unix socket
	inputs  http1.Buffers
	outputs buffers

	mu       sync.Mutex
	idle     []*h1Conn // used last, last
	expiry   *time.Timer
	expiring bool // expiry is set
	closed   bool
}

func newH1Way(d *dialer, host string) *h1Way {
	return &h1Way{dialer: d, host: host, inputs: http1.Buffers{Size: 16 << 10}}
}

func (w *h1Way) switches() bool { return true }

// Close closes idle connections. Those in use are not kept when they are done with.
func (w *h1Way) Close() error {
	w.mu.Lock()
	w.closed = true
	idle := w.idle
	w.idle = nil
	if w.expiry != nil {
		w.expiry.Stop()
	}
	w.mu.Unlock()
	return closeAll(idle)
}

func closeAll(conns []*h1Conn) error {
	var failed error
	for _, c := range conns {
		if err := c.Close(); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// take returns an idle connection that is fit for use, or nil.
func (w *h1Way) take() *h1Conn {
	for {
		c := w.pop()
		if c == nil || c.isClean() {
			return c
		}
		_ = c.Close()
	}
}

func (w *h1Way) pop() *h1Conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := len(w.idle) - 1
	if last < 0 {
		return nil
	}
	c := w.idle[last]
	w.idle[last] = nil
	w.idle = w.idle[:last]
	return c
}

// put keeps a connection for the next request.
func (w *h1Way) put(c *h1Conn) {
	c.in.GiveBack(&w.inputs)
	c.since = time.Now()
	if !w.keep(c) {
		_ = c.Close()
	}
}

func (w *h1Way) keep(c *h1Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.idle) >= maxIdleConns {
		return false
	}
	w.idle = append(w.idle, c)
	if w.expiring {
		return true
	}
	w.expiring = true
	if w.expiry == nil {
		w.expiry = time.AfterFunc(idleConns, w.expire)
	} else {
		w.expiry.Reset(idleConns)
	}
	return true
}

// expire closes those that were idle for too long, and looks again when the next one will have been.
func (w *h1Way) expire() {
	w.mu.Lock()
	now, n := time.Now(), 0
	for n < len(w.idle) && now.Sub(w.idle[n].since) >= idleConns {
		n++
	}
	old := append([]*h1Conn(nil), w.idle[:n]...)
	left := copy(w.idle, w.idle[n:])
	clear(w.idle[left:])
	w.idle = w.idle[:left]
	if w.expiring = left > 0; w.expiring {
		w.expiry.Reset(max(idleConns-now.Sub(w.idle[0].since), shortestTick))
	}
	w.mu.Unlock()
	_ = closeAll(old) // the target may have been quicker
}

// connection returns one for the attempt, which is interrupted with it.
func (w *h1Way) connection(a *attempt) (*h1Conn, error) {
	var c *h1Conn
	if !a.anew {
		c = w.take()
	}
	if c == nil {
		begin := time.Now()
		conn, socket, err := w.dialer.dial(a.context())
		a.progress.connect = time.Since(begin)
		if err != nil {
			return nil, err
		}
		c = newH1Conn(conn, socket)
	}
	a.progress.connected, a.progress.reused = true, c.used
	c.used = true
	if err := a.attach(c); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// send is of [way].
func (w *h1Way) send(a *attempt) (*answer, error) {
	t := &a.h1
	t.a, t.way = a, w
	var err error
	if t.conn, err = w.connection(a); err != nil {
		return nil, err
	}
	if err = t.ask(); err == nil {
		err = t.listen()
	}
	if err != nil {
		_ = t.Close()
		return nil, err
	}
	return &a.answer, nil
}
