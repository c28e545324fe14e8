package mongodb

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// connect makes a client. It waits for nothing but the DNS, where the URI has hosts looked up.
func (s *Store) connect() (*mongo.Client, error) {
	o, err := s.address.options()
	if err != nil {
		return nil, err
	}
	o.SetServerMonitor(&event.ServerMonitor{TopologyDescriptionChanged: s.health.changed})
	o.SetWriteConcern(durable()).SetReadConcern(readconcern.Majority())
	client, err := mongo.Connect(o)
	if err != nil {
		return nil, fmt.Errorf("the URI of the store: %s: %w", s.address.scrub(err.Error()), fault.Invalid)
	}
	return client, nil
}

func durable() *writeconcern.WriteConcern {
	journal := true
	return &writeconcern.WriteConcern{W: writeconcern.WCMajority, Journal: &journal}
}

// connected returns the client. Where the DNS was not there when the store was opened, it is asked again.
func (s *Store) connected(ctx context.Context) (*mongo.Client, error) {
	s.mu.RLock()
	client, closed := s.client, s.closed
	s.mu.RUnlock()
	switch {
	case closed:
		return nil, errClosed
	case client != nil:
		return client, nil
	}
	done := make(chan error, 1)
	if err := s.begin(func() { done <- s.lookUp() }); err != nil { // the resolver knows no context, and gives up by itself
		return nil, err
	}
	select {
	case err := <-done:
		if err != nil {
			return nil, err
		}
		return s.connected(ctx)
	case <-ctx.Done():
		return nil, fmt.Errorf("looking up the hosts of %s: %w: %w", s.address.hosts, fault.Unavailable, ctx.Err())
	}
}

var errClosed = fmt.Errorf("the store is closed: %w", fault.Unavailable)

// begin starts a goroutine that Close waits for.
func (s *Store) begin(f func()) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return errClosed
	}
	s.working.Go(f)
	return nil
}

func (s *Store) lookUp() error {
	s.connecting.Lock()
	defer s.connecting.Unlock()
	s.mu.RLock()
	done := s.client != nil || s.closed
	s.mu.RUnlock()
	if done {
		return nil
	}
	client, err := s.connect()
	if err != nil {
		return fmt.Errorf("looking up the hosts of %s: %s: %w", s.address.hosts, s.address.scrub(err.Error()), fault.Unavailable)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return client.Disconnect(context.Background())
	}
	s.client = client
	return nil
}

// run carries out a call: within the time there is, after all that calls before it have seen, and with errors that have our codes.
func (s *Store) run(ctx context.Context, what string, f func(context.Context, *mongo.Client) error) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	client, err := s.connected(ctx)
	if err == nil {
		err = s.health.check(s.address.hosts)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	session, err := client.StartSession()
	if err != nil {
		return s.failed(ctx, what, err)
	}
	defer session.EndSession(context.WithoutCancel(ctx))
	s.catchUp(session)
	defer s.saw(session)
	return s.failed(ctx, what, f(mongo.NewSessionContext(ctx, session), client))
}

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, store.Timeout)
}

// catchUp has what the session reads be after what other calls have seen.
func (s *Store) catchUp(session *mongo.Session) {
	s.seenMu.Lock()
	seen := s.seen
	s.seenMu.Unlock()
	if !seen.IsZero() {
		_ = session.AdvanceOperationTime(&seen) // fails only for a session that has ended
	}
}

func (s *Store) saw(session *mongo.Session) {
	at := session.OperationTime()
	if at == nil {
		return
	}
	s.seenMu.Lock()
	defer s.seenMu.Unlock()
	if at.After(s.seen) {
		s.seen = *at
	}
}

// retries are how often a read is tried whose moment the server could not give, because a collection or index has just been made.
const retries = 5

// read is run for what changes nothing.
func (s *Store) read(ctx context.Context, what string, f func(context.Context, *mongo.Client) error) error {
	return s.run(ctx, what, func(ctx context.Context, c *mongo.Client) error {
		for i := 1; ; i++ {
			err := f(ctx, c)
			if code, _ := codeOf(err); i == retries || !isPassing(code) || pause(ctx, i) != nil {
				return err
			}
		}
	})
}

// transaction carries out f in a transaction, again and again as long as others are in the way. F does nothing else.
func (s *Store) transaction(ctx context.Context, f func(context.Context) error) error {
	session := mongo.SessionFromContext(ctx)
	o := options.Transaction().SetReadConcern(readconcern.Snapshot()).SetWriteConcern(durable())
	for i := 1; ; i++ {
		if err := session.StartTransaction(o); err != nil {
			return err
		}
		err := f(ctx)
		if err == nil {
			err = s.commit(ctx, session)
		}
		if err != nil {
			abort(ctx, session) // also where the time ran out in the commit: the end of the session would do it, and wait for as long as that takes
		}
		if !hasLabel(err, "TransientTransactionError") || s.giveUp(ctx, i) {
			return err
		}
	}
}

// commit commits, again as long as nobody knows whether it has.
func (s *Store) commit(ctx context.Context, session *mongo.Session) error {
	for i := 1; ; i++ {
		err := session.CommitTransaction(ctx)
		if !hasLabel(err, "UnknownTransactionCommitResult") || s.giveUp(ctx, i) {
			return err
		}
	}
}

// giveUp pauses before something is tried once more, or reports that there is no time or no primary for that.
func (s *Store) giveUp(ctx context.Context, i int) bool {
	return s.health.check(s.address.hosts) != nil || pause(ctx, i) != nil
}

// abortWithin is short: a transaction that nobody ends the server ends itself.
const abortWithin = time.Second / 2

func abort(ctx context.Context, session *mongo.Session) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortWithin)
	defer cancel()
	_ = session.AbortTransaction(ctx)
}

// pause waits a little longer each time, and not as long as another one who was in the way.
func pause(ctx context.Context, i int) error {
	longest := min(time.Millisecond<<min(i, 7), 100*time.Millisecond)
	timer := time.NewTimer(rand.N(longest))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// in returns a collection, which reads at one moment and writes to the disks of a majority.
func (s *Store) in(client *mongo.Client, c *store.Collection) *mongo.Collection {
	return client.Database(s.databaseOf(c.Private)).Collection(c.Name)
}

// atOneMoment is a collection whose reads see one moment, however many documents they return.
func atOneMoment(c *mongo.Collection) *mongo.Collection {
	return c.Database().Collection(c.Name(), options.Collection().SetReadConcern(readconcern.Snapshot()))
}

func (s *Store) databaseOf(private bool) string {
	if private {
		return s.address.database + PrivateSuffix
	}
	return s.address.database
}

func byID(id string) bson.D { return bson.D{{Key: "_id", Value: id}} }
