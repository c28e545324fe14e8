package http1

import (
	"errors"
	"io"
	"sync"
)

// Buffers lends the memory that inputs read into, Size bytes each.
type Buffers struct {
	Size int
	pool sync.Pool
}

func (p *Buffers) get() *[]byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, p.Size)
	return &b
}

// An Input buffers what comes from a connection. It holds memory only while there is something in it.
type Input struct {
	From io.Reader
	lent *[]byte // nil while nothing is held
	b    []byte  // lent's memory, or a larger one for a large head
	r, w int     // b[r:w] is unread
}

// ErrFull says that what has to be read as a whole is longer than allowed.
var ErrFull = errors.New("http1: line or head too long")

// Unread is what has come and is not used. It is valid until the next Fill or Read.
func (in *Input) Unread() []byte { return in.b[in.r:in.w] }

// Skip uses n bytes of Unread.
func (in *Input) Skip(n int) { in.r += n }

// Borrow takes a buffer if none is held.
func (in *Input) Borrow(p *Buffers) {
	if in.lent == nil {
		in.lent = p.get()
		in.b, in.r, in.w = *in.lent, 0, 0
	}
}

// Begin is Borrow for who has waited for the first byte without holding a buffer.
func (in *Input) Begin(p *Buffers, first byte) {
	in.Borrow(p)
	in.b[0], in.r, in.w = first, 0, 1
}

// GiveBack returns the buffer if nothing in it is unread.
func (in *Input) GiveBack(p *Buffers) {
	if in.lent != nil && in.r == in.w {
		p.pool.Put(in.lent)
		in.lent, in.b, in.r, in.w = nil, nil, 0, 0
	}
}

// Drop returns the buffer with whatever is unread.
func (in *Input) Drop(p *Buffers) {
	in.r = in.w
	in.GiveBack(p)
}

// Fill reads once more, making room for up to limit unread bytes. It needs a borrowed buffer.
func (in *Input) Fill(limit int) error {
	if in.r == in.w {
		in.r, in.w = 0, 0
	}
	if in.w == len(in.b) {
		switch {
		case in.r > 0:
			in.w = copy(in.b, in.Unread())
			in.r = 0
		case len(in.b) < limit:
			larger := make([]byte, min(4*len(in.b), limit))
			in.w = copy(larger, in.b)
			in.b = larger
		default:
			return ErrFull
		}
	}
	n, err := in.From.Read(in.b[in.w:])
	in.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// Read returns what is buffered, or reads past the buffer.
func (in *Input) Read(p []byte) (int, error) {
	if in.r < in.w {
		n := copy(p, in.Unread())
		in.r += n
		return n, nil
	}
	return in.From.Read(p)
}
