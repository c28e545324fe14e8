package exchange

import "io"

// NoBody is the body of a request without one.
var NoBody io.Reader = noBody{}

type noBody struct{}

func (noBody) Read([]byte) (int, error) { return 0, io.EOF }

// Unlimited is a body limit that never holds.
const Unlimited = int64(1)<<62 - 1

// LimitBody lets the request's body have at most n bytes: reading more returns ErrBodyTooLarge.
// Of several limits the smallest holds. It reports false when the declared length is already over it.
//
// The first call also starts counting Record.BytesIn, so a front or the chain calls it for every exchange with a body.
func (x *Exchange) LimitBody(n int64) bool {
	if x.limit.from == nil {
		x.limit = body{from: x.Body, record: &x.Record, max: n}
		x.Body = &x.limit
	}
	x.limit.max = min(x.limit.max, n)
	return x.Length <= n
}

// body counts and limits what is read of the front's body.
type body struct {
	from   io.Reader
	record *Record
	max    int64
}

func (b *body) Read(p []byte) (int, error) {
	left := b.max - b.record.BytesIn
	if left < 0 {
		return 0, ErrBodyTooLarge
	}
	if int64(len(p)) > left+1 {
		p = p[:left+1] // one more than allowed tells "too large" from "just fits"
	}
	n, err := b.from.Read(p)
	b.record.BytesIn += int64(n)
	if b.record.BytesIn > b.max {
		return max(0, n-1), ErrBodyTooLarge
	}
	return n, err
}
