package front

import (
	"errors"
	"io"
	"sync"
)

const (
	inputSize  = 4 << 10  // what nearly every head fits in
	outputSize = 16 << 10 // one TLS record
	textSize   = 4 << 10  // what nearly every head fits in, with what is made of it and of its answer's head
)

// pools lends the buffers of connections that are not idle.
type pools struct {
	in, out, held, texts sync.Pool
}

func (p *pools) input() *[]byte {
	if b, ok := p.in.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, inputSize)
	return &b
}

func (p *pools) output() *[]byte {
	if b, ok := p.out.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, outputSize)
	return &b
}

func (p *pools) hold() *[]byte {
	if b, ok := p.held.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, writePart)
	return &b
}

func (p *pools) text() *[]byte {
	if b, ok := p.texts.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, textSize)
	return &b
}

// An input buffers what comes from a connection.
type input struct {
	from io.Reader
	lent *[]byte // of the pool; nil while nothing is held
	b    []byte  // lent's memory, or a larger one for a large head
	r, w int     // b[r:w] is unread
}

var errInputFull = errors.New("front: line too long")

func (in *input) unread() []byte { return in.b[in.r:in.w] }

// borrow takes a buffer if none is held.
func (in *input) borrow(p *pools) {
	if in.lent == nil {
		in.lent = p.input()
		in.b, in.r, in.w = *in.lent, 0, 0
	}
}

// giveBack returns the buffer if nothing in it is unread.
func (in *input) giveBack(p *pools) {
	if in.lent != nil && in.r == in.w {
		p.in.Put(in.lent)
		in.lent, in.b, in.r, in.w = nil, nil, 0, 0
	}
}

// fill reads once more, making room for up to limit unread bytes.
func (in *input) fill(limit int) error {
	if in.r == in.w {
		in.r, in.w = 0, 0
	}
	if in.w == len(in.b) {
		switch {
		case in.r > 0:
			in.w = copy(in.b, in.unread())
			in.r = 0
		case len(in.b) < limit:
			larger := make([]byte, min(4*len(in.b), limit))
			in.w = copy(larger, in.b)
			in.b = larger
		default:
			return errInputFull
		}
	}
	n, err := in.from.Read(in.b[in.w:])
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
func (in *input) Read(p []byte) (int, error) {
	if in.r < in.w {
		n := copy(p, in.unread())
		in.r += n
		return n, nil
	}
	return in.from.Read(p)
}
