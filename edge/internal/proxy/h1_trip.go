package proxy

import (
	"errors"
	"io"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/http1"
)

// An h1Trip is one request on its way, and the body of its answer on the way back.
type h1Trip struct {
	a      *attempt
	way    *h1Way
	conn   *h1Conn
	head   http1.Answer
	upload *upload // nil for a request whose body was sent with its head
	key    webSocketKey

	chunks http1.Chunks
	tail   answerTrailers
	framed framing
	left   int64 // of the body, where its length is known
	ended  bool  // the body has been read, all of it
	closed bool
}

// A framing is how an answer's end is told (RFC 9112, section 6.3).
type framing uint8

const (
	noBody framing = iota
	byLength
	byChunks
	byClose
)

// ask sends the request, or of one with a body that is not at hand yet the head, and begins to send the body.
func (t *h1Trip) ask() error {
	a := t.a
	lent := t.way.outputs.get()
	defer t.way.outputs.put(lent)
	b, key, err := t.way.appendHead(lent[:0], a)
	if err != nil {
		return err
	}
	t.key = key
	b = append(b, a.small...)
	n, err := t.conn.Write(b)
	a.progress.sent = n > 0 // of a TLS record that did not go out whole the target can't read any of it
	a.touch()
	if err == nil && a.body != nil {
		t.upload = startUpload(t)
	}
	return err
}

// listen reads the head of the answer, and passes on those that come before it.
func (t *h1Trip) listen() error {
	asked := time.Now()
	defer func() { t.a.progress.wait = time.Since(asked) }()
	for interim := 0; ; interim++ {
		if err := t.readHead(); err != nil {
			return err
		}
		t.a.touch() // and not with each of its bytes: a head that comes in drops is no answer
		switch status := t.head.Status; {
		case status >= 200 || status == 101:
			t.upload.mayBegin(false)
			t.answered()
			return nil
		case interim == maxInterim:
			return errBadAnswer
		case status == 100: // the front says it to the visitor when his body is first read
			t.upload.mayBegin(true)
		default:
			if err := t.a.inform(status, t.head.Fields[t.a.kept:]); err != nil {
				return err
			}
		}
	}
}

// maxInterim is how many 1xx answers may come before the answer.
const maxInterim = 16

// readHead reads one head, whose strings become the exchange's.
func (t *h1Trip) readHead() error {
	in := &t.conn.in
	in.Borrow(&t.way.inputs)
	for size, next := 0, 0; ; {
		var err error
		if size, next, err = http1.FindHead(in.Unread(), next); err != nil {
			return err
		}
		if size > 0 {
			t.head.Fields = t.a.x.Response.Fields[:t.a.kept]
			err = t.head.Parse(t.a.x.Text(in.Unread()[:size]))
			in.Skip(size)
			return err
		}
		if err := in.Fill(maxAnswerHead); err != nil {
			if errors.Is(err, io.EOF) && len(in.Unread()) > 0 {
				return io.ErrUnexpectedEOF
			}
			return err
		}
		t.a.progress.begun = true
	}
}

// answered fills in the attempt's answer, and how its body ends.
func (t *h1Trip) answered() {
	a, head := t.a, &t.head
	a.answer = answer{status: head.Status, fields: head.Fields, length: head.Length, body: t}
	t.left = max(head.Length, 0)
	switch {
	case a.x.Method == "HEAD" || head.Status == 204 || head.Status == 304 || head.Status == 101:
		t.framed, t.left = noBody, 0
	case head.Chunked:
		t.framed = byChunks
		t.tail.begin(head.Trailer)
		t.chunks.Padded = true
		t.chunks.Reset(&t.conn.in, &t.tail)
		a.answer.announced = t.tail.announced
	case head.Length >= 0:
		t.framed = byLength
	default:
		t.framed = byClose
	}
	if head.Status == 101 && exchange.EqualName(head.Upgrade, webSocket) && t.key.isAccepted(&a.answer.fields) {
		a.answer.switched = t.conn
	}
}

// Read reads the answer's body.
func (t *h1Trip) Read(p []byte) (n int, err error) {
	switch t.framed {
	case noBody:
		err = io.EOF
	case byLength:
		n, err = t.readLength(p)
	case byChunks:
		n, err = t.chunks.Read(p)
	case byClose:
		n, err = t.conn.in.Read(p)
	}
	t.ended = t.ended || errors.Is(err, io.EOF)
	return n, err
}

func (t *h1Trip) readLength(p []byte) (n int, err error) {
	if int64(len(p)) > t.left {
		p = p[:t.left]
	}
	if len(p) > 0 {
		n, err = t.conn.in.Read(p)
		t.left -= int64(n)
	}
	switch {
	case t.left == 0:
		return n, io.EOF
	case n > 0:
		return n, nil // an error waits for the next Read
	case errors.Is(err, io.EOF):
		return 0, io.ErrUnexpectedEOF
	default:
		return 0, err
	}
}

// ready is of [answerBody].
func (t *h1Trip) ready() bool {
	switch t.framed {
	case noBody:
		return true
	case byChunks:
		return t.chunks.Ready()
	default:
		return len(t.conn.in.Unread()) > 0 || t.framed == byLength && t.left == 0
	}
}

// trailers is of [answerBody].
func (t *h1Trip) trailers() exchange.Fields { return t.tail.fields }

// Close gives the connection back, unless something is left on it that is of this request: a part of the body, bytes beyond it,
// a body of the visitor's that is still being sent. It waits for whoever sends that.
func (t *h1Trip) Close() error {
	if t.closed {
		return nil
	}
	t.closed = true
	whole := t.ended && t.upload.isSent()
	if whole && t.framed != byClose && !t.head.Close && len(t.conn.in.Unread()) == 0 && t.a.detach() {
		t.way.put(t.conn)
		return nil
	}
	if whole {
		_ = t.conn.Close()
	} else {
		t.conn.cut()
	}
	t.upload.stop()
	t.a.detach()
	t.conn.in.Drop(&t.way.inputs)
	return nil
}

// answerTrailers takes the trailers of an answer that may go on.
type answerTrailers struct {
	announced, fields exchange.Fields
}

// begin notes the names that the head announces, for visitors whose protocol announces them, too.
func (t *answerTrailers) begin(list string) {
	*t = answerTrailers{}
	for name := range namesIn(list) {
		if isAnswerTrailer(name) {
			t.announced.Add(name, "")
		}
	}
}

// Trailer is of [http1.Trailers].
func (t *answerTrailers) Trailer(name, value string) error {
	if isAnswerTrailer(name) {
		t.fields.Add(name, value)
	}
	return nil
}

// TrailerLimits is of [http1.Trailers].
func (*answerTrailers) TrailerLimits() (line, all, count int) {
	return maxAnswerHead, maxAnswerHead, maxAnswerFields
}
