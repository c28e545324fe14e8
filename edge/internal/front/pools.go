package front

import (
	"sync"

	"github.com/onehost/edge/edge/internal/http1"
)

const (
	inputSize  = 4 << 10  // what nearly every head fits in
	outputSize = 16 << 10 // one TLS record
	textSize   = 4 << 10  // what nearly every head fits in, with what is made of it and of its answer's head
)

// pools lends the buffers of connections that are not idle.
type pools struct {
	in               http1.Buffers
	out, held, texts sync.Pool
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
