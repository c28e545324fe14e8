package proxy

import (
	"cmp"
	"errors"
	"io"
	"slices"
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
	a.silence.touch()
	a.silence.answered.Store(true)
	defer func() { x.Record.Transfer = time.Since(headAt) }()
	if !isSound(ans) || ans.status == 101 && (ans.switched == nil || !wantsSwitch(x)) {
		_ = ans.body.Close()
		a.end()
		return a.failed(errBadAnswer)
	}
	x.Response.Status, x.Response.Fields, x.Response.Length = ans.status, ans.fields, ans.length
	if ans.status == 101 {
		return p.switchProtocols(a, ans.switched)
	}
	x.Response.Trailers = append(x.Response.Trailers, ans.announced...)
	err := p.stream(a, ans)
	x.Response.Trailers = x.Response.Trailers[:0]
	if err == nil {
		x.Response.Trailers = append(x.Response.Trailers, ans.trailers()...)
	}
	_ = ans.body.Close()
	a.end()
	if err == nil {
		return nil
	}
	if !x.HeadSent() { // what edge says now has nothing of the target's
		x.Response.Status, x.Response.Fields, x.Response.Length = 0, x.Response.Fields[:a.kept], -1
	}
	return a.failed(err)
}

// isSound reports whether an answer may be passed on: what our own parsers would refuse from a visitor is not sent to one.
func isSound(ans *answer) bool {
	if ans.status < 200 && ans.status != 101 || ans.status > 599 || len(ans.fields) > maxAnswerFields {
		return false
	}
	for i := range ans.fields {
		if f := &ans.fields[i]; !exchange.IsToken(f.Name) || !exchange.IsFieldValue(f.Value) {
			return false
		}
	}
	return true
}

// stream passes the body on as it comes. What may be waited for by somebody, because nobody said how much there is to
// come, is sent at once.
func (p *Proxy) stream(a *attempt, ans *answer) error {
	x := a.x
	if ans.length == 0 || x.Method == "HEAD" || ans.status == 204 || ans.status == 304 {
		return readEnd(ans.body)
	}
	live := ans.length < 0 || isEventStream(ans.fields.Get("Content-Type"))
	if live {
		if err := x.Flush(); err != nil {
			return &visitorError{err}
		}
	}
	buf := p.buffers.get()
	defer p.buffers.put(buf)
	for {
		n, err := ans.body.Read(buf[:])
		a.silence.touch()
		if n > 0 {
			if err := a.write(buf[:n], live); err != nil {
				return &visitorError{err}
			}
		}
		switch {
		case err == io.EOF:
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
func (a *attempt) write(p []byte, flush bool) error {
	a.silence.pause()
	defer a.silence.resume()
	if _, err := a.x.Write(p); err != nil {
		return err
	}
	if flush {
		return a.x.Flush()
	}
	return nil
}

// A visitorError is an error of writing to the visitor.
type visitorError struct{ err error }

func (e *visitorError) Error() string { return "answering the visitor: " + e.err.Error() }
func (e *visitorError) Unwrap() error { return e.err }

func isEventStream(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return exchange.EqualName(strings.TrimSpace(media), "text/event-stream")
}

// sortFields puts what came out of a map into one order.
func sortFields(fields exchange.Fields) {
	slices.SortStableFunc(fields, func(a, b exchange.Field) int { return strings.Compare(a.Name, b.Name) })
}
