package front

import "sync"

// writePart is how much is given to the socket at a time, so that a long write shows its progress: four full TLS records,
// which are up to 256 bytes longer than what is in them (RFC 8446, section 5.2).
const writePart = 4 * (outputSize + 256)

// crypto/tls gives each record to the line by itself. On a new connection it begins with records as small as a packet, so that
// a browser can read the first of them before the others have arrived, and goes over to the largest within boost bytes.
const (
	leastRecord = 1 << 10
	boost       = 128 << 10
)

// held is what was written to a line that is to be sent together with what follows at once.
type held struct {
	sync.Mutex // crypto/tls may have something to say of its own meanwhile
	on         bool
	lent       *[]byte // nil while nothing is held
	b          []byte
}

// Write sends p, or keeps it until release.
func (l *line) Write(p []byte) (int, error) {
	h := &l.held
	h.Lock()
	defer h.Unlock()
	if !h.on {
		return l.send(p)
	}
	if h.lent == nil {
		h.lent = l.s.pools.hold()
		h.b = (*h.lent)[:0]
	}
	if len(h.b)+len(p) > writePart {
		_, err := l.send(h.b)
		h.b = h.b[:0]
		if err != nil {
			return 0, err
		}
	}
	h.b = append(h.b, p...)
	return len(p), nil
}

// hold is called before n bytes are written to the TLS connection, and release after: if they take several records, these
// are sent in one write.
func (l *line) hold(n int) {
	if n <= leastRecord || n <= outputSize && l.out.Load() > boost {
		return
	}
	l.held.Lock()
	defer l.held.Unlock()
	l.held.on = true
}

// release sends what is held.
func (l *line) release() (err error) {
	h := &l.held
	h.Lock()
	defer h.Unlock()
	h.on = false
	if h.lent != nil {
		_, err = l.send(h.b)
		l.s.pools.held.Put(h.lent)
		h.lent, h.b = nil, nil
	}
	return err
}

func (l *line) send(p []byte) (written int, err error) {
	l.writing.Store(l.s.clock.now())
	defer l.writing.Store(0)
	for len(p) > 0 {
		n, err := l.Conn.Write(p[:min(len(p), writePart)])
		written += n
		l.out.Add(int64(n))
		l.moved.Store(l.s.clock.now())
		if err != nil {
			return written, err
		}
		p = p[n:]
	}
	if p, _ := l.phase(); p == phaseGoAway {
		l.Conn.SetReadDeadline(past) // GOAWAY is said
	}
	return written, nil
}
