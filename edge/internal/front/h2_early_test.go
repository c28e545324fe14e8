package front

import (
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/net/http2"

	"github.com/onehost/edge/edge/internal/exchange"
)

// TestAnEarlyAnswerLeavesBeforeItsReset: the answer to a request whose body is not read ends with a reset of the stream. Some
// clients drop an answer that comes in one record with that, so the reset waits until the answer has been written.
func TestAnEarlyAnswerLeavesBeforeItsReset(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]exchange.HandlerFunc{
		"refused":   func(x *exchange.Exchange) { x.Response.Status = 413; text("too much")(x) },
		"cut short": func(x *exchange.Exchange) { x.Response.Length = 50; _, _ = x.Write([]byte("too much")) },
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, true, Limits{}, handler)
			for range 20 {
				v := h.frames()
				v.head(1, false, ":method", "POST", "content-length", "100000000")
				record, answered := make([]byte, 32<<10), false
				for {
					n, err := v.conn.Read(record) // of one record
					if err != nil {
						t.Fatal(err)
					}
					kinds := kindsOf(record[:n])
					if slices.Contains(kinds, http2.FrameRSTStream) {
						break
					}
					answered = answered || slices.Contains(kinds, http2.FrameHeaders)
				}
				if !answered {
					t.Fatal("the answer comes together with its reset")
				}
				v.conn.Close()
			}
		})
	}
}

// kindsOf are the kinds of the whole frames in b.
func kindsOf(b []byte) (kinds []http2.FrameType) {
	for len(b) >= 9 {
		kinds = append(kinds, http2.FrameType(b[3]))
		b = b[min(9+int(binary.BigEndian.Uint32(append([]byte{0}, b[:3]...))), len(b)):]
	}
	return kinds
}
