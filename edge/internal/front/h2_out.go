package front

import (
	"crypto/tls"
	"net"
	"runtime"
	"sync"
	"time"
)

// An h2out is what x/net has for a connection: it reads from it directly, and writes by a goroutine.
//
// x/net writes whenever nothing more waits in it, which is twice for a small answer: its body reaches x/net only when
// the head is written. Here what it writes waits until all that could add to it has had its turn, and leaves in one piece.
// The goroutine stays for as long as the connection is busy, because a stack that has grown is worth keeping.
type h2out struct {
	*tls.Conn
	line *line

	mu      sync.Mutex
	more    sync.Cond // there is something to write, or the goroutine is to end
	less    sync.Cond // there is room again, or never will be, or the goroutine has ended
	waiting []*[]byte // to be written, each as long as a TLS record
	writing []*[]byte // the goroutine's
	sent    uint64    // how often the goroutine has written
	busy    bool      // it is writing
	runs    bool      // the goroutine
	rests   bool      // the goroutine is to end when it has nothing to do
	err     error     // why nothing more can be written
}

// h2outParts is how many TLS records wait at most, besides as many that are being written.
const h2outParts = 4

func newH2out(conn *tls.Conn, l *line) *h2out {
	o := &h2out{Conn: conn, line: l}
	o.more.L, o.less.L = &o.mu, &o.mu
	return o
}

// Write keeps p for the goroutine, and waits while too much waits already. Its error may be an earlier Write's.
func (o *h2out) Write(p []byte) (written int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(p) > 0 {
		for o.err == nil && o.isFull() {
			o.less.Wait()
		}
		if o.err != nil {
			return written, o.err
		}
		n := o.add(p)
		written += n
		p = p[n:]
		o.rests = false
		if !o.runs {
			o.runs = true
			go o.run()
		}
		o.more.Signal()
	}
	return written, nil
}

func (o *h2out) isFull() bool {
	n := len(o.waiting)
	return n == h2outParts && len(*o.waiting[n-1]) == outputSize
}

// add keeps the part of p that has room in one record.
func (o *h2out) add(p []byte) int {
	n := len(o.waiting)
	if n == 0 || len(*o.waiting[n-1]) == outputSize {
		o.waiting = append(o.waiting, o.line.s.pools.output())
		n++
	}
	last := o.waiting[n-1]
	size := min(len(p), outputSize-len(*last))
	*last = append(*last, p[:size]...)
	return size
}

// run is the goroutine.
func (o *h2out) run() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		for len(o.waiting) == 0 && !o.rests {
			o.more.Wait()
		}
		if len(o.waiting) == 0 {
			o.runs = false
			o.less.Broadcast()
			return
		}
		o.mu.Unlock()
		runtime.Gosched() // until everybody who is ready has had his turn
		o.mu.Lock()
		o.waiting, o.writing, o.busy = o.writing, o.waiting, true
		o.less.Broadcast()
		o.mu.Unlock()
		err := o.send()
		o.mu.Lock()
		o.sent++
		o.busy = false
		if err != nil {
			o.err = err
		}
		o.less.Broadcast()
	}
}

// deliverTime is how long deliver waits at most.
const deliverTime = 100 * time.Millisecond

// deliver has flush give to x/net what the visitor must have before what comes next, and waits until it is written.
func (o *h2out) deliver(flush func() error) {
	o.mu.Lock()
	before := o.sent
	o.mu.Unlock()
	if flush() != nil {
		return
	}
	late := false
	defer time.AfterFunc(deliverTime, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		late = true
		o.less.Broadcast()
	}).Stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.err == nil && !late && (o.sent == before || len(o.waiting) > 0 || o.busy) {
		o.less.Wait()
	}
}

// send writes what is the goroutine's, and returns its memory.
func (o *h2out) send() (err error) {
	l := o.line
	n := len(o.writing)
	l.hold((n-1)*outputSize + len(*o.writing[n-1]))
	for i, part := range o.writing {
		if err == nil {
			_, err = o.Conn.Write(*part)
		}
		*part = (*part)[:0]
		l.s.pools.out.Put(part)
		o.writing[i] = nil
	}
	o.writing = o.writing[:0]
	if e := l.release(); err == nil {
		err = e
	}
	if err != nil {
		_ = l.Conn.Close() // for x/net to notice even if it has nothing more to write
	}
	return err
}

// Close lets what waits be written, which ends when guard says so at the latest.
func (o *h2out) Close() error {
	o.mu.Lock()
	if o.err == nil {
		o.err = net.ErrClosed
	}
	o.rests = true
	o.more.Signal()
	o.less.Broadcast()
	for o.runs {
		o.less.Wait()
	}
	o.mu.Unlock()
	return o.Conn.Close()
}

// rest ends the goroutine if it has nothing to do.
func (o *h2out) rest() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rests = true
	o.more.Signal()
}
