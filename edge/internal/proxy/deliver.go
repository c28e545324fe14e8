package proxy

import (
	"cmp"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// maxAnswerFields is how many fields the head of an answer may have.
const maxAnswerFields = 256

var errBadAnswer = errors.New("proxy: the target's answer breaks the rules of HTTP")

// deliver gives the answer to the visitor, and ends the attempt.
func (p *Proxy) deliver(a *attempt, ans *answer) *failure {
	x := a.x
	headAt := time.Now()
	a.touch()
	a.answered.Store(true)
	defer func() { x.Record.Transfer = time.Since(headAt) }()
	if ans.status == 101 && (ans.switched == nil || !wantsSwitch(x)) {
		return a.breakOff(ans, errBadAnswer)
	}
	x.Response.Status, x.Response.Fields, x.Response.Length = ans.status, ans.fields, ans.length
	if ans.status == 101 {
		return p.switchProtocols(a, ans)
	}
	x.Response.Trailers = append(x.Response.Trailers, ans.announced...)
	err := p.stream(a, ans)
	x.Response.Trailers = x.Response.Trailers[:0]
	if err != nil {
		failed := a.breakOff(ans, err)
		if !x.HeadSent() { // what edge says now has nothing of the target's
			x.Response.Status, x.Response.Fields, x.Response.Length = 0, x.Response.Fields[:a.kept], -1
		}
		return failed
	}
	x.Response.Trailers = append(x.Response.Trailers, ans.body.trailers()...)
	_ = ans.body.Close()
	a.end()
	return nil
}

// breakOff ends an attempt whose answer can't be delivered, or not to its end.
func (a *attempt) breakOff(ans *answer, err error) *failure {
	_ = ans.body.Close()
	a.end()
	return a.failed(err)
}

// stream passes the body on as it comes. What may be waited for by somebody, because nobody said how much there is to
// come, is sent before more of it is waited for.
func (p *Proxy) stream(a *attempt, ans *answer) error {
	x := a.x
	if ans.length == 0 || x.Method == "HEAD" || ans.status == 204 || ans.status == 304 {
		return readEnd(ans.body)
	}
	live := ans.length < 0 || isEventStream(ans.fields.Get("Content-Type"))
	buf := p.buffers.get()
	for {
		if live && !ans.body.ready() {
			if err := a.flush(); err != nil {
				return err
			}
		}
		n, err := ans.body.Read(buf[:])
		a.touch()
		if n > 0 {
			if err := a.write(buf[:n]); err != nil {
				return err // and buf is lost: who failed to write it may still look at it (x/net does, after a reset)
			}
		}
		if err != nil {
			p.buffers.put(buf)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// readEnd lets a way find out that a body without bytes has ended, which is when there are trailers.
func readEnd(body io.Reader) error {
	var none [1]byte
	n, err := body.Read(none[:])
	if n > 0 || err != nil && err != io.EOF {
		return cmp.Or(err, errBadAnswer)
	}
	return nil
}

// write writes to the visitor, who may take all the time that the front allows.
func (a *attempt) write(p []byte) error {
	a.pause()
	defer a.resume()
	_, err := a.x.Write(p)
	return visitors(err)
}

func (a *attempt) flush() error {
	a.pause()
	defer a.resume()
	return visitors(a.x.Flush())
}

// inform passes a 1xx answer on.
func (a *attempt) inform(status int, fields exchange.Fields) error {
	a.pause()
	defer a.resume()
	return visitors(a.x.SendInformational(status, fields))
}

// A visitorError is an error of the visitor's side.
type visitorError struct{ err error }

func (e *visitorError) Error() string { return "the visitor's side: " + e.err.Error() }
func (e *visitorError) Unwrap() error { return e.err }

// visitors says of an error whose it is.
func visitors(err error) error {
	if err == nil {
		return nil
	}
	return &visitorError{err}
}

func isEventStream(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return exchange.EqualName(strings.TrimSpace(media), "text/event-stream")
}
