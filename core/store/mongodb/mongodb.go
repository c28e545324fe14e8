// Package mongodb keeps documents in a MongoDB replica set (6.0 or newer): the engine of package store for more than one host.
//
// What a call did is on the disks of a majority of members when it returns. A read sees one moment that a majority has, not before the
// last thing that was done or seen through the same Store, whichever member is the primary by then. A server that is gone is
// unavailable within seconds, and used again as soon as it is back.
//
// A document is one document of MongoDB, its id in _id, its values BSON's own: what is there can be read with any tool. Collections
// are in the database that the URI names, private ones in the database beside it whose name ends in _private, so that database roles
// separate them. What collections there are is written down there, in _collections.
//
// In come conditions, changes and documents as package store has them. What is MongoDB's (commands, BSON, codes of errors) goes no further.
package mongodb

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// Options say where the replica set is.
type Options struct {
	URI      string // mongodb:// or mongodb+srv://, with everything that such a URI can say; its path names the database: "edge" if it has none
	User     string // in place of the URI's, when not ""
	Password string // of User
	Log      *slog.Logger
}

// Store is a [store.Store].
type Store struct {
	address address
	log     *slog.Logger
	health  *health

	connecting sync.Mutex // held while a client is being made
	mu         sync.RWMutex
	client     *mongo.Client // nil until there is one
	closed     bool
	known      map[string]*known

	life    context.Context // ends with Close
	end     context.CancelFunc
	working sync.WaitGroup // goroutines that end then

	seenMu sync.Mutex
	seen   bson.Timestamp // the last moment that a call has seen
}

var _ store.Store = (*Store)(nil)

// Open returns a store without waiting for a server: see [Store.Ready]. An error is about the options, and holds no password.
func Open(o Options) (*Store, error) {
	a, err := parseAddress(o)
	if err != nil {
		return nil, err
	}
	s := &Store{address: a, log: o.Log, known: make(map[string]*known), health: &health{since: time.Now()}}
	s.life, s.end = context.WithCancel(context.Background())
	if a.lookup {
		return s, nil
	}
	s.client, err = s.connect()
	return s, err
}

// Check returns an error when [Open] would refuse the options. Nothing is opened or looked up.
func Check(o Options) error {
	_, err := parseAddress(o)
	return err
}

// Close ends all connections.
func (s *Store) Close() error {
	s.mu.Lock()
	client := s.client
	s.client, s.closed = nil, true
	s.mu.Unlock()
	s.end()
	s.working.Wait()
	if client == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	if err := client.Disconnect(ctx); err != nil {
		return fmt.Errorf("closing the connections to MongoDB: %w", err)
	}
	return nil
}

const closeWithin = 5 * time.Second

// Run waits: the server removes what has expired itself.
func (s *Store) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// oldest is the wire version of MongoDB 6.0, the oldest that has all that is used here.
const oldest = 17

// Ready implements [store.Store]. An error without a code is about a server that is standalone or too old, or that refuses the user.
func (s *Store) Ready(ctx context.Context) error {
	var hello struct {
		Primary bool   `bson:"isWritablePrimary"`
		Set     string `bson:"setName"`
		Message string `bson:"msg"`
		Wire    int    `bson:"maxWireVersion"`
	}
	return s.run(ctx, "reaching MongoDB", func(ctx context.Context, c *mongo.Client) error {
		if err := c.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello); err != nil {
			return err
		}
		switch {
		case hello.Wire < oldest:
			return spoken{fmt.Errorf("the MongoDB at %s is too old (wire version %d): edge needs 6.0 or newer", s.address.hosts, hello.Wire)}
		case hello.Message == "isdbgrid":
			return spoken{fmt.Errorf("%s is a mongos: edge keeps its data in a replica set, not in a sharded cluster", s.address.hosts)}
		case hello.Set == "":
			return spoken{errStandalone(s.address.hosts)}
		case !hello.Primary:
			return fmt.Errorf("the member at %s is not the primary: %w", s.address.hosts, fault.Unavailable)
		}
		_, err := s.listed(ctx, c)
		return err
	})
}

func errStandalone(hosts string) error {
	return fmt.Errorf(`the MongoDB at %s is in no replica set, and has neither transactions nor change streams: start mongod with --replSet rs0 (replication.replSetName in mongod.conf), then run once: mongosh %q --eval 'rs.initiate()'`, hosts, "mongodb://"+hosts)
}
