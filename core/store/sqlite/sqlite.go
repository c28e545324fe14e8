// Package sqlite is the store in one file, for a host that has no database server: SQLite, as a part of this program.
//
// Each collection is a table of that name, with a row (id, doc) for each document; doc is JSON, in which bytes, bools and times
// are strings that begin with U+10FFFF (see encode). Only functions that SQLite brings along are in the file's schema: a sysadmin can read
// it with the sqlite3 tool. Tables that begin with _ are the store's own: _collections says how collections are described, _events has what
// feeds tell, _state counts how often that was described anew.
//
// The file is written ahead (WAL) and each transaction synced, so what was acknowledged survives kill -9 and the loss of
// power. Many processes may have it open, on one host, on a disk of its own: never on a network's.
//
// In come documents, conditions and changes as package store describes them. What is a valid one, and what a change makes of a document, is
// decided there.
package sqlite

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/store"
)

// Store is a [store.Store] in a file.
type Store struct {
	path string
	log  *slog.Logger

	queue   chan *call
	turn    chan struct{} // holds one: who has put it in has the writer
	writer  *conn         // nil: to be opened
	opened  atomic.Bool   // whether it ever was
	written *catalog      // what the writer knows; nil: to be read
	commits atomic.Int64
	ailing  atomic.Bool // whether nothing could be written when it was last tried

	readers readers
	catalog atomic.Pointer[catalog] // the newest that is known
	owed    struct {
		sync.Mutex
		collections map[string]store.Collection // what Ensure could not do
	}
	news    news
	closing chan struct{}
	close   sync.Once
}

var _ store.Store = (*Store)(nil)

// Open opens the store that path has, and makes it, with its folder, when there is none. Only this user may read what it makes. A file that is
// something else, damaged, or of a newer edge is refused and left as it is. On a full disk the store is opened and not ready: what can be read is,
// the rest is unavailable until there is space.
func Open(ctx context.Context, path string, log *slog.Logger) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	most := min(max(runtime.GOMAXPROCS(0), 4), 8) // a few that look through everything leave room for others
	s := &Store{
		path:    path,
		log:     log,
		queue:   make(chan *call, maxQueue),
		turn:    make(chan struct{}, 1),
		readers: readers{lent: make(chan struct{}, most)},
		news:    news{wake: make(chan struct{})},
		closing: make(chan struct{}),
	}
	s.owed.collections = make(map[string]store.Collection)
	ctx, cancel := bounded(ctx)
	defer cancel()
	s.catalog.Store(&catalog{version: -1})
	err = s.explain(s.open(ctx))
	if err == nil {
		_, err = s.reload(ctx)
	}
	if isFull(err) {
		s.ailing.Store(true)
		return s, nil
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// open opens the writer. Its caller has the turn, or the only reference to the store.
func (s *Store) open(ctx context.Context) error {
	if !s.opened.Load() {
		if err := provide(ctx, s.path); err != nil {
			return err
		}
	}
	c, err := connect(ctx, s.path)
	if err != nil {
		return err
	}
	if err := prepare(ctx, c); err != nil {
		return c.abandon(err)
	}
	s.writer = c
	s.opened.Store(true)
	return nil
}

// Close implements [store.Store]. The last process that closes the file has all of it in one: no -wal and no -shm beside it.
func (s *Store) Close() error {
	var err error
	s.close.Do(func() {
		close(s.closing)
		for range cap(s.readers.lent) {
			s.readers.lent <- struct{}{} // for good
		}
		err = s.readers.retire(time.Now())
		s.turn <- struct{}{} // for good
		if s.writer != nil {
			err = errors.Join(err, s.writer.close())
			s.writer = nil
		}
	})
	return err
}

// news wakes those who wait for something to happen.
type news struct {
	sync.Mutex
	wake chan struct{}
}

func (n *news) tell() {
	n.Lock()
	defer n.Unlock()
	close(n.wake)
	n.wake = make(chan struct{})
}

func (n *news) next() <-chan struct{} {
	n.Lock()
	defer n.Unlock()
	return n.wake
}

// poll is how often is looked for what other processes have done.
const poll = time.Second / 2
