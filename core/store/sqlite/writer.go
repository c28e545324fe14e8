package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/fault"
)

// Limits of what is written in one transaction.
const (
	maxCalls = 256     // calls
	maxBatch = 8 << 20 // bytes of their documents
	maxQueue = 1024    // calls that wait; those beyond wait to wait
)

// call is one Apply or Claim on its way to the file. It is carried out whole, or not at all.
type call struct {
	ctx   context.Context
	size  int
	run   func(*tx) error
	taken atomic.Bool // by the one who carries it out, or by its own caller, who doesn't wait any longer
	done  chan struct{}
	err   error
}

// tx is what a call works in.
type tx struct {
	conn *conn
	ctx  context.Context
	now  time.Time
	catalog
	shaped  bool // whether anything was done to tables and indexes, which SQLite doesn't count as a change
	ensured bool // whether collections are others than before
	events  bool // whether a feed has something new
}

// submit has a call carried out and waits for that.
//
// There is no goroutine that writes. Calls wait in a queue, and one caller at a time has the turn: it carries out all that wait, in
// one transaction, with one sync of the disk. What comes meanwhile waits for the next turn. So a single writer waits for nobody, and
// the more there are the less each costs. Until a call is taken its caller may leave; from then on it waits for what becomes of it.
func (s *Store) submit(ctx context.Context, size int, run func(*tx) error) error {
	c := &call{ctx: ctx, size: size, run: run, done: make(chan struct{})}
	select {
	case s.queue <- c:
	case <-ctx.Done():
		return late(ctx)
	case <-s.closing:
		return errClosed()
	}
	for {
		select {
		case <-c.done:
			return c.err
		case <-ctx.Done():
			return c.leave(late(ctx))
		case <-s.closing:
			return c.leave(errClosed())
		case s.turn <- struct{}{}:
			if err := s.lead(c); err != nil {
				return err
			}
		}
	}
}

// leave takes the call back, for a reason, or waits until it is done.
func (c *call) leave(why error) error {
	if !c.taken.Swap(true) {
		return why
	}
	<-c.done
	return c.err
}

func late(ctx context.Context) error {
	return fmt.Errorf("others were writing for all the time that there was: %w: %w", fault.Unavailable, context.Cause(ctx))
}

func errClosed() error { return fmt.Errorf("the store is closed: %w", fault.Unavailable) }

// lead carries out what waits, unless c is done already, and gives the turn back. An error is why nothing could be written at all, and is for c.
func (s *Store) lead(c *call) error {
	defer func() { <-s.turn }()
	select {
	case <-c.done:
		return nil
	default:
	}
	if err := s.begin(c.ctx); err != nil {
		c.taken.Store(true)
		s.note(err)
		return s.explain(err)
	}
	runtime.Gosched() // who is on his way here comes along
	calls := s.waiting()
	returned := false
	defer func() {
		for _, c := range calls {
			if !returned {
				c.err = errPanic
			}
			close(c.done)
		}
		if !returned {
			s.writer = nil
		}
	}()
	s.carryOut(calls)
	returned = true
	if s.writer.worn() {
		s.renew()
	}
	return nil
}

// errPanic is for those whose write was under way when SQLite panicked, for want of memory, in the caller that wrote for all.
var errPanic = fmt.Errorf("the store had a fault while it wrote: %w", fault.Unavailable)

// waiting takes calls from the queue.
func (s *Store) waiting() (calls []*call) {
	size := 0
	for len(calls) < maxCalls && size < maxBatch {
		select {
		case c := <-s.queue:
			if !c.taken.Swap(true) {
				calls = append(calls, c)
				size += c.size
			}
		default:
			return calls
		}
	}
	return calls
}

// begin begins a transaction, as soon as no other process has one, and learns what another has made of the collections.
func (s *Store) begin(ctx context.Context) error {
	if s.writer == nil {
		if err := s.open(ctx); err != nil {
			return err
		}
	}
	err := s.writer.exec(ctx, "BEGIN IMMEDIATE")
	for isBusy(err) && ctx.Err() == nil {
		err = s.writer.exec(ctx, "BEGIN IMMEDIATE")
	}
	if err != nil {
		return err
	}
	anew, err := s.writer.number(context.Background(), "SELECT version FROM _state")
	if err == nil && (s.written == nil || anew != s.written.version) {
		var known *catalog
		if known, err = described(context.Background(), s.writer); err == nil {
			s.written = s.learn(known)
		}
	}
	if err != nil {
		s.rollback()
	}
	return err
}

func (s *Store) rollback() {
	if s.writer.inTransaction() {
		// What fails here ends the transaction, or the next BEGIN says what is wrong.
		_ = s.writer.exec(context.Background(), "ROLLBACK")
	}
}

// errHalfway is why a transaction is begun anew: a call has failed after it had changed something, and there is no savepoint to go back to.
var errHalfway = errors.New("a call has failed halfway")

// carryOut carries out calls in the transaction that has begun. A savepoint has SQLite keep the pages as they were, which costs as much as
// changing them, so it is done without until a call fails halfway. Where it fails as a whole, by one of them or at its end, each gets a transaction
// of its own: so nobody pays for another's mistake.
func (s *Store) carryOut(calls []*call) {
	err := s.attempt(calls, false)
	if errors.Is(err, errHalfway) {
		s.rollback()
		if err = s.beginAgain(); err == nil {
			err = s.attempt(calls, true)
		}
	}
	if err == nil {
		return
	}
	s.rollback()
	s.note(err)
	if len(calls) == 1 {
		calls[0].err = s.explain(err)
		return
	}
	for _, c := range calls {
		c.err = nil
		if err := s.beginAgain(); err != nil {
			s.note(err)
			c.err = s.explain(err)
		} else {
			s.carryOut([]*call{c})
		}
	}
}

func (s *Store) beginAgain() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return s.begin(ctx)
}

// attempt returns an error when the transaction is gone, and no call was carried out.
func (s *Store) attempt(calls []*call, savepoints bool) error {
	t := &tx{conn: s.writer, now: time.Now(), catalog: *s.written}
	ok := 0
	for _, c := range calls {
		t.ctx = c.ctx
		halfway, err := t.carryOut(c, savepoints)
		if halfway && len(calls) > 1 {
			return errHalfway
		}
		s.note(err)
		c.err = s.explain(err)
		if !s.writer.inTransaction() {
			return c.err
		}
		if c.err == nil {
			ok++
		}
	}
	if ok == 0 {
		s.rollback()
		return nil
	}
	if err := s.writer.exec(context.Background(), "COMMIT"); err != nil {
		return err
	}
	s.commits.Add(1)
	s.ailing.Store(false)
	if t.ensured {
		s.written = s.learn(&t.catalog)
	}
	if t.events {
		s.news.tell()
	}
	return nil
}

// carryOut does a call. One that fails has done nothing, or is halfway: what it has done has to be undone.
func (t *tx) carryOut(c *call, savepoint bool) (halfway bool, err error) {
	if err := c.ctx.Err(); err != nil {
		return false, late(c.ctx)
	}
	if savepoint {
		return false, t.within(c)
	}
	before := t.conn.allChanges()
	t.shaped = false
	err = c.run(t)
	return err != nil && t.conn.inTransaction() && (t.shaped || t.conn.allChanges() != before), err
}

// within does a call within a savepoint.
func (t *tx) within(c *call) error {
	none := context.Background()
	if err := t.conn.exec(none, "SAVEPOINT call"); err != nil {
		return err
	}
	before := t.catalog
	err := c.run(t)
	if err == nil {
		return t.conn.exec(none, "RELEASE call")
	}
	t.catalog = before
	if t.conn.inTransaction() {
		if failed := errors.Join(t.conn.exec(none, "ROLLBACK TO call"), t.conn.exec(none, "RELEASE call")); failed != nil {
			_ = t.conn.exec(none, "ROLLBACK")
		}
	}
	return err
}

// renew has the next turn open a connection anew.
func (s *Store) renew() {
	if err := s.writer.close(); err != nil {
		s.log.Warn("store: closing a connection", "error", err)
	}
	s.writer = nil
}
