// Package spool is a queue on the local disk for what has to be acknowledged while the store is away: bounded, in order, and durable when [Spool.Put]
// returns, whatever becomes of the process or the machine then.
//
// In come records of bytes, each of a line. What is in them is known only to who put them in, and so is where they are drained to.
//
// # What is promised
//
//   - What Put has returned for is drained at least once: after kill -9 or a loss of power at any point it is there. A record whose Put did not return
//     may be there too, and the last records that were drained before a crash may be drained again: who takes them removes repeats.
//   - Records of a line are drained in the order in which their Puts returned.
//   - A record that was cut off by a crash is dropped: it was never acknowledged. Anything else that is not as it was written is set aside in the
//     folder aside and said in the log, and what is behind it is drained all the same.
//   - There is never more than 1 GiB, and a tenth of the disk, or 1 GiB if that is less, stays free for others.
//
// # Files
//
// Records are in segments, files named SEQUENCE-SALT.v1 of about 16 MiB (the format stands in record.go). A process holds a lock on those that it works on,
// so that two may use the folder at once while one takes the other's place; what one leaves behind, the other finds at its next Drain. A segment is
// removed when all of it is drained; before that each record that was is marked in its place.
package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/onehost/edge/core/fault"
)

const (
	maxBytes    = 1 << 30  // of the folder
	maxPending  = 64 << 20 // bytes that wait to be written
	segmentSize = 16 << 20 // from which on another segment is begun
)

// A Spool is the queue of one folder. Its methods may be called at the same time.
type Spool struct {
	folder   string
	root     *os.Root // the folder
	log      *slog.Logger
	max      int64         // bytes of the folder
	draining chan struct{} // holds one while a Drain runs

	mu       sync.Mutex
	segments []*segment               // in their order
	active   *segment                 // the last one, which is written to; nil: the next Put begins one
	writing  bool                     // a batch is being written to active
	waiting  map[string]int           // by line; none is not in it
	emptied  map[string]chan struct{} // closed when nothing of a line waits any more
	n        int
	bytes    int64 // of the folder
	aside    int   // files that a person has not removed yet
	pending  int64 // bytes of batches
	batch    *batch
	trouble  error         // why the last write failed
	writer   chan struct{} // closed when the goroutine that writes has ended; nil: there is none
	closed   bool
}

// Open opens the spool of a folder, which is made if it is missing. An error says what a person has to do about it.
func Open(folder string, log *slog.Logger) (*Spool, error) {
	s := &Spool{folder: folder, log: log, max: maxBytes, draining: make(chan struct{}, 1), waiting: make(map[string]int), emptied: make(map[string]chan struct{})}
	if err := os.MkdirAll(filepath.Join(folder, asideFolder), 0o700); err != nil {
		return nil, fmt.Errorf("the folder of the spool can't be made: %w", err)
	}
	if err := syncFolder(filepath.Dir(folder)); err != nil {
		return nil, err
	}
	var err error
	if s.root, err = os.OpenRoot(folder); err != nil {
		return nil, fmt.Errorf("the folder of the spool can't be opened: %w", err)
	}
	s.clean()
	if err := s.adopt(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.measure()
	if n, bytes := s.Len(); n > 0 {
		log.Info("the spool has deliveries of before", "deliveries", n, "bytes", bytes)
	}
	return s, nil
}

// Put adds a record to a line. It is on the disk when Put returns nil; Puts at the same time share one write. The record is the spool's from then on, and must not be
// changed. Unavailable: the spool or its disk is full or can't be written to, or ctx has ended, in which case the record may be there all the same.
// Invalid, too_large: the name of the line has more than 255 bytes, the record more than 16 MiB.
func (s *Spool) Put(ctx context.Context, line string, record []byte) error {
	if len(line) > maxLine {
		return fmt.Errorf("the name of a line has more than %d bytes: %w", maxLine, fault.Invalid)
	}
	if len(record) > maxRecord {
		return fmt.Errorf("a record has more than %d bytes: %w", maxRecord, fault.TooLarge)
	}
	b, err := s.enter(entry{line, record})
	if err != nil {
		return err
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return fmt.Errorf("the spool's disk did not write in time: %w: %w", fault.Unavailable, ctx.Err())
	}
}

// Holds reports whether records of a line wait to be drained.
func (s *Spool) Holds(line string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting[line] > 0
}

// Wait returns when no records of a line wait to be drained, or with the context's error.
func (s *Spool) Wait(ctx context.Context, line string) error {
	s.mu.Lock()
	if s.waiting[line] == 0 {
		s.mu.Unlock()
		return nil
	}
	emptied := s.emptied[line]
	if emptied == nil {
		emptied = make(chan struct{})
		s.emptied[line] = emptied
	}
	s.mu.Unlock()
	select {
	case <-emptied:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// empty notes that nothing of a line waits any more. s.mu is held.
func (s *Spool) empty(line string) {
	delete(s.waiting, line)
	if emptied := s.emptied[line]; emptied != nil {
		close(emptied)
		delete(s.emptied, line)
	}
}

// Len returns how many records wait to be drained, and how many bytes of the disk the spool has.
func (s *Spool) Len() (n int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n, s.bytes
}

// Close waits for the write under way, and gives the folder back. What is in it stays.
func (s *Spool) Close() error {
	s.mu.Lock()
	s.closed = true
	writer := s.writer
	s.mu.Unlock()
	if writer != nil {
		<-writer
	}
	s.draining <- struct{}{} // a Drain ends at its next record
	defer func() { <-s.draining }()
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for _, seg := range s.segments {
		err = errors.Join(err, seg.file.Close())
	}
	s.segments, s.active = nil, nil
	return errors.Join(err, s.root.Close())
}

var errClosed = fmt.Errorf("the spool is closed: %w", fault.Unavailable)
