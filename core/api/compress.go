package api

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

const (
	minZipped = 1 << 10  // bytes of an answer that is compressed: what is shorter fits into a packet
	zippedTag = `-gzip"` // how the ETag of a compressed answer ends
)

// Zippers are compressors that are not in use.
type zippers struct{ pool sync.Pool }

type zipper struct {
	to bytes.Buffer
	by *gzip.Writer
}

func (z *zippers) get() *zipper {
	if free, ok := z.pool.Get().(*zipper); ok {
		return free
	}
	one := &zipper{}
	one.by, _ = gzip.NewWriterLevel(&one.to, gzip.BestSpeed) // a level that there is
	return one
}

func (z *zippers) put(one *zipper) {
	if one.to.Cap() <= maxBuffer {
		z.pool.Put(one)
	}
}

// zip returns text compressed, until the next time.
func (z *zipper) zip(text []byte) []byte {
	z.to.Reset()
	z.by.Reset(&z.to)
	_, _ = z.by.Write(text) // to memory
	_ = z.by.Close()
	return z.to.Bytes()
}

// takesGzip reports whether a client takes what is compressed (RFC 9110, section 12.5.3).
func takesGzip(h http.Header) bool {
	takes := false
	for _, field := range h.Values("Accept-Encoding") {
		for one := range strings.SplitSeq(field, ",") {
			coding, weight, weighed := strings.Cut(one, ";")
			coding = strings.TrimSpace(coding)
			named := strings.EqualFold(coding, "gzip")
			if !named && coding != "*" {
				continue
			}
			q := 1.0
			if weighed {
				q, _ = strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
			}
			if takes = q > 0; named {
				return takes
			}
		}
	}
	return takes
}
