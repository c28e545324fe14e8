package proxy

import (
	"errors"
	"io"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// expectTimeout is how long a target that was asked with Expect may take to say 100 before the body is sent all the same:
// many have never heard of it (RFC 9110, section 10.1.1).
const expectTimeout = time.Second

// An upload sends the body of a request while the answer is waited for, or already comes.
type upload struct {
	t     *h1Trip
	begin chan bool     // capacity 1: whether the target wants the body; nil if it isn't asked
	done  chan struct{} // closed when nothing more is sent
	last  atomic.Bool   // its last bytes are being written
	sent  bool          // the whole body; to be read once done is closed
}

// lastWrite is how long the last bytes of a body may take to be written once the whole answer is there: the target has read
// them, so that the write that it has to do with has only to return.
const lastWrite = 50 * time.Millisecond

func startUpload(t *h1Trip) *upload {
	u := &upload{t: t, done: make(chan struct{})}
	if expectsContinue(t.a.x) {
		u.begin = make(chan bool, 1)
	}
	go u.run()
	return u
}

// expectsContinue reports whether the target is asked whether it wants the body. Who speaks HTTP/1.0 could not be told its
// answer.
func expectsContinue(x *exchange.Exchange) bool {
	return x.Protocol != exchange.HTTP10 && x.Fields.HasToken("Expect", "100-continue")
}

func (u *upload) run() {
	defer close(u.done)
	u.sent = u.isWanted() && u.send()
}

// isWanted waits for what the target says.
func (u *upload) isWanted() bool {
	if u.begin == nil {
		return true
	}
	patience := time.NewTimer(expectTimeout)
	defer patience.Stop()
	select {
	case wanted := <-u.begin:
		return wanted
	case <-patience.C:
		return true
	}
}

// mayBegin says that the target has said that it wants the body, or has answered without it. A nil upload is none.
func (u *upload) mayBegin(wanted bool) {
	if u == nil {
		return
	}
	select {
	case u.begin <- wanted:
	default:
	}
}

// isSent reports whether the whole body has been sent.
func (u *upload) isSent() bool {
	if u == nil {
		return true
	}
	if !u.last.Load() {
		return false
	}
	select {
	case <-u.done:
		return u.sent
	default:
	}
	patience := time.NewTimer(lastWrite)
	defer patience.Stop()
	select {
	case <-u.done:
		return u.sent
	case <-patience.C:
		return false
	}
}

// stop ends it. Writing to the target fails already.
func (u *upload) stop() {
	if u == nil {
		return
	}
	u.mayBegin(false)
	_ = u.t.a.body.Close()
	<-u.done
}

// chunkRoom is kept before a chunk's data for its size: up to four hexadecimal digits and CRLF.
const chunkRoom = 6

// send reports whether it has sent all. What went wrong on the visitor's side interrupts the attempt; what did on the target's
// may be explained by an answer, which is still read.
func (u *upload) send() bool {
	lent := u.t.way.outputs.get()
	defer u.t.way.outputs.put(lent)
	body, chunked := u.t.a.body, u.t.a.x.Request.Length < 0
	for {
		n, err := body.Read(lent[chunkRoom : bufferSize-len("\r\n")])
		out := lent[chunkRoom : chunkRoom+n]
		if chunked && n > 0 {
			out = chunk(lent, n)
		}
		ended := errors.Is(err, io.EOF)
		u.last.Store(ended)
		if ended && chunked {
			out = u.appendEnd(out)
		}
		if len(out) > 0 && !u.write(out) {
			return false
		}
		if ended {
			return true
		}
		if err != nil {
			if !errors.Is(err, errBodyEnded) { // which is stop's doing
				u.t.a.interrupt(&visitorError{err})
			}
			return false
		}
	}
}

func (u *upload) write(b []byte) bool {
	_, err := u.t.conn.Write(b)
	u.t.a.touch()
	return err == nil
}

// chunk makes a chunk of the n bytes behind chunkRoom.
func chunk(b *[bufferSize]byte, n int) []byte {
	var size [chunkRoom]byte
	head := append(strconv.AppendInt(size[:0], int64(n), 16), '\r', '\n')
	begin := chunkRoom - len(head)
	copy(b[begin:], head)
	return append(b[begin:chunkRoom+n], '\r', '\n')
}

// appendEnd appends the last chunk and the trailers.
func (u *upload) appendEnd(b []byte) []byte {
	b = append(b, "0\r\n"...)
	x := u.t.a.x
	for _, f := range x.Request.Trailers {
		if isRequestTrailer(x, f.Name) {
			b = appendField(b, f.Name, f.Value)
		}
	}
	return append(b, '\r', '\n')
}
