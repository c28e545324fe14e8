package realtime

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/api/wire"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// stream is one answer. Its own goroutine does all of it.
type stream struct {
	*Realtime
	*follower
	out     http.ResponseWriter
	control *http.ResponseController
	form    wire.Form
	valid   func(context.Context) bool
	last    string // the position that the client knows
	joined  bool   // what comes next is in the ring:
	number  uint64 // that
	renewed <-chan struct{}

	beat, ask *time.Ticker
	due       chan struct{} // closed: to wait for it is to do what is due
	buffer    []byte        // not written yet
}

// errEnd ends a stream: who follows comes again.
var errEnd = errors.New("the stream ends")

// again is after how long the store is asked once more.
const again = time.Second

// lifetime is how long a stream lasts at most: not all that began together end together.
func lifetime() time.Duration { return MaxAge - rand.N(MaxAge/10) }

func (s *stream) run(ctx context.Context) {
	header := s.out.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no")
	s.beat, s.ask, s.due = time.NewTicker(heartbeat), time.NewTicker(validity), make(chan struct{})
	close(s.due)
	defer s.beat.Stop()
	defer s.ask.Stop()
	defer func() { _ = s.control.SetWriteDeadline(time.Time{}) }() // the connection may have another use
	s.out.WriteHeader(http.StatusOK)
	s.buffer = append(s.buffer, "retry: 2000\n\n"...)
	if s.flush() != nil {
		return
	}
	err := s.start(ctx)
	for s.joined = true; err == nil; {
		err = s.step(ctx)
	}
	if errors.Is(err, errEnd) {
		_ = s.flush()
	}
}

// step tells of the next change, or waits for it.
func (s *stream) step(ctx context.Context) error {
	i, before, next, news, ok := s.ring.after(s.number, s.of.Name)
	if !ok {
		return errEnd // too slow, or something was missed: it is looked for when the client comes again
	}
	s.number = next
	if i != nil {
		return s.tell(ctx, i, before)
	}
	s.reached()
	if err := s.flush(); err != nil {
		return err
	}
	return s.wait(ctx, news)
}

// reached notes the position before the next change.
func (s *stream) reached() {
	if position := s.ring.position(s.number); position != "" {
		s.last = position
	}
}

// tell writes what there is to hear of a change, as soon as the store can say it.
func (s *stream) tell(ctx context.Context, i, before *item) error {
	for {
		t, err := s.hears(ctx, s.follower, i, before)
		if err == nil {
			s.last = i.position
			if t.action != "" {
				s.event(i, t)
			}
			break
		}
		if fault.CodeOf(err) != fault.Unavailable && !errors.Is(err, context.DeadlineExceeded) {
			if ctx.Err() == nil {
				s.log.ErrorContext(ctx, "a stream of events ends", "type", s.of.Name, "entry", i.Entry, "error", err)
			}
			return errEnd
		}
		if err := s.pause(ctx); err != nil {
			return err
		}
	}
	if len(s.buffer) > 64<<10 {
		if err := s.flush(); err != nil {
			return err
		}
	}
	return s.wait(ctx, s.due)
}

func (s *stream) event(i *item, t told) {
	b := append(s.buffer, "event: "...)
	b = append(b, t.action...)
	b = append(append(b, "\nid: "...), i.position...)
	id, _ := json.Marshal(i.Entry)
	b = append(append(b, "\ndata: {\"documentId\":"...), id...)
	if t.entry != nil {
		b = wire.AppendEntry(append(b, `,"entry":`...), t.entry, s.form)
	}
	s.buffer = append(b, "}\n\n"...)
}

// start finds the change that the stream begins with.
func (s *stream) start(ctx context.Context) error {
	if err := s.wait(ctx, s.ring.opened()); err != nil {
		return err
	}
	if s.last == "" {
		return s.begin("")
	}
	number, ok := s.ring.place(s.last)
	if ok {
		s.number = number + 1
		return nil
	}
	err := s.catchUp(ctx)
	if errors.Is(err, fault.NotFound) || errors.Is(err, fault.Invalid) {
		return s.begin("event: reset\ndata: {}\n")
	}
	return err
}

// begin has the stream begin with what happens next, and the client know so.
func (s *stream) begin(with string) error {
	s.number = s.ring.head()
	if s.last = s.ring.position(s.number); s.last == "" {
		return errEnd // something is being missed right now
	}
	s.buffer = append(append(append(append(s.buffer, with...), "id: "...), s.last...), "\n\n"...)
	return nil
}

// catchUp tells what has happened since the client was here, by a feed of its own, until it meets what is in the ring.
func (s *stream) catchUp(ctx context.Context) error {
	if err := s.wait(ctx, s.catchUps); err != nil {
		return err
	}
	defer func() { s.catchUps <- struct{}{} }()
	for {
		err := s.follow(ctx)
		if fault.CodeOf(err) != fault.Unavailable {
			return err
		}
		if err := s.pause(ctx); err != nil {
			return err
		}
	}
}

func (s *stream) follow(ctx context.Context) error {
	feed, err := s.store.Watch(ctx, changes.Name, s.last)
	if err != nil {
		return err
	}
	defer func() { _ = feed.Close() }()
	for {
		within, cancel := context.WithTimeout(ctx, again)
		e, err := feed.Next(within)
		quiet := err != nil && within.Err() != nil
		cancel()
		switch {
		case quiet:
			err = s.flush()
		case err != nil:
			return err
		default:
			if number, ok := s.ring.place(e.Position); ok {
				s.number = number
				return nil
			}
			if i := newItem(e); e.Kind == store.Inserted && i.Type == s.of.Name {
				err = s.tell(ctx, i, nil)
			}
			s.last = e.Position
		}
		if err == nil {
			err = s.wait(ctx, s.due)
		}
		if err != nil {
			return err
		}
	}
}

// pause waits a little for the store.
func (s *stream) pause(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, again)
	defer cancel()
	return s.wait(ctx, within.Done())
}

// wait waits for done, and does meanwhile what is due. An error is that the stream ends.
func (s *stream) wait(ctx context.Context, done <-chan struct{}) error {
	for {
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return errEnd
		case <-s.renewed:
			return errEnd
		case <-s.beat.C:
			if err := s.alive(); err != nil {
				return err
			}
		case <-s.ask.C:
			if s.valid != nil && !s.valid(ctx) {
				return errEnd
			}
		}
	}
}

// alive is a comment, and the position: what was no event for this client need not be looked at again when he comes again.
func (s *stream) alive() error {
	if i, _, next, _, ok := s.ring.after(s.number, s.of.Name); s.joined && ok && i == nil {
		s.number = next
		s.reached()
	}
	s.buffer = append(append(append(s.buffer, ":\nid: "...), s.last...), "\n\n"...)
	return s.flush()
}

func (s *stream) flush() error {
	if len(s.buffer) == 0 {
		return nil
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(patience)) // where it can't be set, the server has one
	_, err := s.out.Write(s.buffer)
	s.buffer = s.buffer[:0]
	if err != nil {
		return err
	}
	return s.control.Flush()
}
