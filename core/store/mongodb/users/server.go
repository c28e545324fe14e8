package users

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"github.com/onehost/edge/core/fault"
)

const (
	reachWithin  = 8 * time.Second // the DNS, the primary and the login
	selectWithin = 5 * time.Second
	closeWithin  = 2 * time.Second
	writeWithin  = 10 * time.Second // until a majority of the members has a user or role
)

// server is the primary, seen by the admin.
type server struct {
	address
	client  *mongo.Client
	seen    *sightings
	set     string // the replica set's name
	members string // host:port,…
}

// reach logs in and returns when the server is the primary of a replica set.
func reach(ctx context.Context, a address) (*server, error) {
	ctx, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	s := &server{address: a, seen: &sightings{servers: make(map[string]string)}}
	var err error
	if s.client, err = s.connect(ctx, true); err != nil {
		return nil, err
	}
	if err := s.hello(ctx); err != nil {
		s.close(ctx)
		return nil, err
	}
	return s, nil
}

// connect makes a client, of the admin or of nobody. It waits for nothing but the DNS, where the URI has hosts looked up.
func (s *server) connect(ctx context.Context, asAdmin bool) (*mongo.Client, error) {
	type result struct {
		client *mongo.Client
		err    error
	}
	done := make(chan result, 1)
	go func() { // ends when the resolver gives up, which knows no context
		o := options.Client().ApplyURI(s.uri)
		if !asAdmin {
			o.Auth = nil
		}
		o.SetAppName("edge store init").SetReadPreference(readpref.Primary())
		o.SetServerSelectionTimeout(selectWithin).SetConnectTimeout(selectWithin).SetServerMonitor(s.seen.monitor())
		client, err := mongo.Connect(o)
		done <- result{client, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, fmt.Errorf("the admin's URI: %s", s.scrub(r.err.Error()))
		}
		return r.client, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("looking up the hosts of %s: the DNS does not answer: %w", s.hosts, fault.Unavailable)
	}
}

func (s *server) close(ctx context.Context) { disconnect(ctx, s.client) }

func disconnect(ctx context.Context, client *mongo.Client) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	_ = client.Disconnect(ctx) // what is to be done is done
}

func (s *server) hello(ctx context.Context) error {
	var hello struct {
		Primary bool     `bson:"isWritablePrimary"`
		Set     string   `bson:"setName"`
		Hosts   []string `bson:"hosts"`
		Message string   `bson:"msg"`
		Waiting bool     `bson:"isreplicaset"` // for replSetInitiate
	}
	if err := s.run(ctx, "admin", bson.D{{Key: "hello", Value: 1}}, &hello); err != nil {
		return err
	}
	switch {
	case hello.Message == "isdbgrid":
		return fmt.Errorf("%s is a mongos: edge keeps its data in a replica set, not in a sharded cluster", s.hosts)
	case hello.Waiting:
		return s.errNotInitiated()
	case hello.Set == "":
		return s.errStandalone()
	case !hello.Primary:
		return fmt.Errorf("%s is not the primary: leave directConnection out of the URI, or name the primary", s.hosts)
	}
	s.set, s.members = hello.Set, strings.Join(hello.Hosts, ",")
	return nil
}

func (s *server) errStandalone() error {
	return fmt.Errorf("the MongoDB at %s is in no replica set, and has neither transactions nor change streams: start mongod with --replSet rs0 (replication.replSetName in mongod.conf; with access control it needs security.keyFile as well), then run once: mongosh %q --eval 'rs.initiate()'",
		s.hosts, "mongodb://"+s.hosts+"/admin")
}

func (s *server) errNotInitiated() error {
	return fmt.Errorf("the replica set at %s has not been initiated: run once: mongosh %q --eval 'rs.initiate()'", s.hosts, "mongodb://"+s.hosts+"/admin?directConnection=true")
}

// isOpen reports whether somebody who has not logged in may see what databases there are.
func (s *server) isOpen(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	nobody, err := s.connect(ctx, false)
	if err != nil {
		return false, err
	}
	defer disconnect(ctx, nobody)
	err = nobody.Database("admin").RunCommand(ctx, bson.D{{Key: "listDatabases", Value: 1}, {Key: "nameOnly", Value: true}}).Err()
	return err == nil, nil // a server that answers nobody with an error is not open
}

func (s *server) run(ctx context.Context, database string, command bson.D, into any) error {
	err := s.client.Database(database).RunCommand(ctx, command).Decode(into)
	return s.failed(database, command[0].Key, err)
}

// write carries out a command that is to last: a majority of the members has done it when it returns.
func (s *server) write(ctx context.Context, database string, command bson.D) error {
	command = append(command, bson.E{Key: "writeConcern", Value: bson.D{{Key: "w", Value: "majority"}, {Key: "wtimeout", Value: writeWithin.Milliseconds()}}})
	var none bson.D
	return s.run(ctx, database, command, &none)
}

// sightings are what is known of servers, so that it can be said why none could be used.
type sightings struct {
	mu      sync.Mutex
	servers map[string]string // what each is, by address
	kinds   []string          // all that were seen
}

func (v *sightings) monitor() *event.ServerMonitor {
	return &event.ServerMonitor{
		ServerDescriptionChanged: func(e *event.ServerDescriptionChangedEvent) {
			if kind := e.NewDescription.Kind; kind != "Unknown" {
				v.note(e.Address.String(), kind)
			}
		},
		ServerHeartbeatFailed: func(e *event.ServerHeartbeatFailedEvent) {
			host, _, _ := strings.Cut(e.ConnectionID, "[")
			v.note(host, e.Failure.Error())
		},
	}
}

func (v *sightings) note(host, what string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.servers[host] = what
	v.kinds = append(v.kinds, what)
}

func (v *sightings) saw(kind string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Contains(v.kinds, kind)
}

func (v *sightings) String() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []string
	for _, host := range slices.Sorted(maps.Keys(v.servers)) {
		all = append(all, host+": "+v.servers[host])
	}
	return strings.Join(all, "; ")
}

// unreachable says why there was no primary to talk to.
func (s *server) unreachable() error {
	switch {
	case s.seen.saw("Standalone"):
		return s.errStandalone()
	case s.seen.saw("RSGhost"):
		return s.errNotInitiated()
	case s.seen.saw("RSSecondary"):
		return fmt.Errorf("the replica set at %s has no primary (%s): %w", s.hosts, s.scrub(s.seen.String()), fault.Unavailable)
	}
	return fmt.Errorf("the MongoDB at %s can't be reached (%s): %w", s.hosts, s.scrub(s.seen.String()), fault.Unavailable)
}

func isTimeout(err error) bool {
	return mongo.IsTimeout(err) || errors.Is(err, context.DeadlineExceeded)
}
