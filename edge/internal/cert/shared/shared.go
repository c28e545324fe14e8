// Package shared has several hosts on one store share what cert keeps: certificates with their keys, the accounts with CAs,
// session ticket keys, and the answers to challenges that are under way.
//
// In come keys and values as certmagic has them. The files of package storage are what is read, always: they are this host's copy, and
// all goes on with them while the store is away. What is stored is brought to the store at once, or when it is back; what other
// hosts store comes from there within moments; and who has taken a lock has what the hosts before him have stored. Of two certificates of
// one name and CA the one that begins later wins, and of two accounts the one that the store has.
//
// Nothing secret goes into the store unsealed: see seal. What can't be opened there is neither believed nor overwritten.
package shared

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/lease"
	"github.com/onehost/edge/edge/internal/cert/storage"
)

const (
	certificates = "certificates" // also accounts, and ticket keys: what is kept
	challenges   = "challenges"   // answers, for minutes
)

// collections are those that the hosts share, and lease's beside them.
func collections() []store.Collection {
	return []store.Collection{
		{Name: certificates, Private: true, Indexes: []store.Index{{Fields: []string{"name"}}}, Expire: "expires", Feed: 10 * time.Minute},
		{Name: challenges, Private: true, Expire: "expires"},
		{Name: keys, Private: true},
		lease.Collection(),
	}
}

const (
	callTimeout  = 3 * time.Second  // for one answer of the store, where somebody waits
	syncTimeout  = 5 * time.Minute  // for comparing everything
	pollInterval = time.Minute      // how often everything is compared, though the feed should have told
	retryAfter   = time.Second      // how soon a store that is away is asked again, doubled up to retryAtMost
	retryAtMost  = 15 * time.Second // and so the longest that a store that is back is not noticed
)

// Options are what a Storage needs. All but Key are required.
type Options struct {
	Store store.Store
	Key   []byte           // 32 bytes that all hosts have; nil: the first host makes them and keeps them in the store
	Files *storage.Storage // this host's copy
	Log   *slog.Logger

	Changed   func(id string)       // something has come from another host: the folder of a certificate, the key of a value, or of a Value
	Connected func(context.Context) // the store can be used, for the first time or again
}

// Storage is a certmagic.Storage on the files of this host and a store that it shares with others. It is safe for concurrent use.
type Storage struct {
	*storage.Storage // reading is its alone

	store     store.Store
	key       []byte
	log       *slog.Logger
	changed   func(id string)
	connected func(context.Context)
	leases    *lease.Leases
	lapsed    chan struct{} // the store was away for a call

	files    sync.Mutex           // held while what is here is compared with what the store has, and takes its place
	mu       sync.Mutex           // guards what follows
	ensured  bool                 // the collections are there
	seal     *seal                // nil before the key is settled
	settled  error                // why it is not
	proven   bool                 // the store was sealed with key, which is configured
	held     map[string]heldLease // by the name of the lock
	here     map[string]string    // by id: the digest of what is here, as far as known
	owed     map[string]bool      // by id: stored here, and not in the store yet
	unopened map[string]error     // by id: what of the store can't be opened
}

// New returns a Storage, and asks nothing of the store: Fetch and Run do.
func New(o Options) *Storage {
	return &Storage{
		Storage: o.Files, store: o.Store, key: o.Key, log: o.Log, changed: o.Changed, connected: o.Connected,
		leases: lease.New(o.Store, holder(), o.Log), held: make(map[string]heldLease), lapsed: make(chan struct{}, 1),
		here: make(map[string]string), owed: make(map[string]bool), unopened: make(map[string]error),
	}
}

// Fetch brings here what the store has, and the other way round, as far as that can be done before ctx ends.
func (s *Storage) Fetch(ctx context.Context) error {
	if err := s.ensure(ctx); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil { // also when it was: another host may have changed the key
		return err
	}
	return s.sync(ctx)
}

// Run keeps this host and the store in step until ctx ends.
func (s *Storage) Run(ctx context.Context) error {
	for wait := retryAfter; ; {
		began := time.Now()
		ended := s.follow(ctx)
		s.log.Debug("certificates are not in step with the store", "err", ended)
		if time.Since(began) > retryAtMost {
			wait = retryAfter
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
			wait = min(2*wait, retryAtMost)
		}
	}
}

// errLapsed says that the store was away for a call. A feed need not notice that.
var errLapsed = errors.New("the store was away")

// follow takes up what happens in the store, until something goes wrong.
func (s *Storage) follow(ctx context.Context) error {
	if err := s.ensure(ctx); err != nil {
		return err
	}
	select {
	case <-s.lapsed: // what came before is made up for now
	default:
	}
	ctx, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	feed, err := s.store.Watch(ctx, certificates, "")
	if err != nil {
		return errors.Join(err, s.syncAll(ctx)) // what is not told is asked for
	}
	defer feed.Close()
	ended := make(chan error, 1)
	reading.Go(func() { ended <- s.read(ctx, feed) })
	if err := s.syncAll(ctx); err != nil {
		return err
	}
	s.connected(ctx)
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-s.lapsed:
			return errLapsed
		case <-poll.C:
			if err := s.syncAll(ctx); err != nil {
				return err
			}
		}
	}
}

// read takes up what the feed tells.
func (s *Storage) read(ctx context.Context, feed store.Feed) error {
	for {
		event, err := feed.Next(ctx)
		if err != nil {
			return err
		}
		if event.Document != nil {
			s.happened(event.Document)
		}
	}
}

// heard has Run make up for what was missed, when err is that the store is away.
func (s *Storage) heard(err error) error {
	if fault.CodeOf(err) == fault.Unavailable {
		select {
		case s.lapsed <- struct{}{}:
		default:
		}
	}
	return err
}

func (s *Storage) syncAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	return s.Fetch(ctx)
}

// happened takes up what another host, or this one, has stored.
func (s *Storage) happened(d store.Document) {
	if isValue(d.ID()) {
		s.changed(d.ID())
		return
	}
	if _, err := s.take(d); err != nil {
		s.log.Warn("what another host has stored can't be taken up", "id", d.ID(), "err", err)
	}
}

// plain are the characters of usual ids.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./_-"

// Problem says what needs a person, "" if nothing does. That the store is away needs none here.
func (s *Storage) Problem() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if wrong, ok := errors.AsType[*keyError](s.settled); ok {
		return wrong.Error()
	}
	if len(s.unopened) == 0 {
		return ""
	}
	id := slices.Min(slices.Collect(maps.Keys(s.unopened)))
	said := fmt.Sprintf("of what hosts share %d can't be used, such as %q: %v. This host's files serve on; once the document with that id is removed from the private collection %s, they are shared again",
		len(s.unopened), id, s.unopened[id], certificates)
	if strings.Trim(id, plain) == "" { // nobody has the operator's shell do anything else
		said += ": " + mongosh(fmt.Sprintf("%s.deleteOne({_id: %q})", certificates, id))
	}
	return said
}

// sealer returns what values are sealed with, or why there is none.
func (s *Storage) sealer() (*seal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seal == nil {
		if s.settled != nil {
			return nil, s.settled
		}
		return nil, fmt.Errorf("the store was not reached yet: %w", fault.Unavailable)
	}
	return s.seal, nil
}

// reach returns what values are sealed with, and asks the store for it if that was not done yet.
func (s *Storage) reach(ctx context.Context) (*seal, error) {
	if by, err := s.sealer(); err == nil {
		return by, nil
	}
	if err := s.ensure(ctx); err != nil {
		return nil, err
	}
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	return s.sealer()
}

// ensure has the collections be there, unless it was seen to already.
func (s *Storage) ensure(ctx context.Context) error {
	s.mu.Lock()
	done := s.ensured
	s.mu.Unlock()
	if done {
		return nil
	}
	if err := s.store.Ensure(ctx, collections()...); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ensured = true
	return nil
}
