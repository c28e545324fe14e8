package proxy

import "sync"

// bufferSize is how much of a body is moved at once.
const bufferSize = 32 << 10

// buffers lends memory to move bodies with.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() *[bufferSize]byte {
	if buf, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return buf
	}
	return new([bufferSize]byte)
}

func (b *buffers) put(buf *[bufferSize]byte) { b.pool.Put(buf) }
