package mongodbtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
)

const (
	electionTimeout   = 2 * time.Second // shorter than the usual 10 s, yet longer than a busy machine keeps a process waiting
	heartbeatInterval = 200 * time.Millisecond
	heartbeatTimeout  = 1 * time.Second // how long a member that stands still holds up an election
)

// form makes the members that run not yet a replica set that takes writes on all of them.
func (s *Set) form(ctx context.Context) error {
	started := make(chan error, len(s.members))
	for _, m := range s.members {
		go func() { started <- m.start(ctx) }()
	}
	var err error
	for range s.members {
		err = errors.Join(err, <-started)
	}
	if err != nil {
		return err
	}
	if err := s.initiate(ctx); err != nil {
		return fmt.Errorf("replSetInitiate: %w", err)
	}
	if s.auth {
		if err := s.createAdmin(ctx); err != nil {
			return fmt.Errorf("creating the first user: %w", err)
		}
	}
	_, err = s.awaitPrimary(ctx, len(s.members))
	return err
}

func (s *Set) initiate(ctx context.Context) error {
	var members bson.A
	for i, m := range s.members {
		members = append(members, bson.D{{Key: "_id", Value: i}, {Key: "host", Value: m.Addr()}})
	}
	command := bson.D{{Key: "replSetInitiate", Value: bson.D{
		{Key: "_id", Value: setName},
		{Key: "members", Value: members},
		{Key: "settings", Value: bson.D{
			{Key: "electionTimeoutMillis", Value: electionTimeout.Milliseconds()},
			{Key: "heartbeatIntervalMillis", Value: heartbeatInterval.Milliseconds()},
			{Key: "heartbeatTimeoutSecs", Value: int(heartbeatTimeout.Seconds())},
		}},
	}}}
	return with(ctx, s.compose(nil, s.members[0].Addr(), nil), func(admin *mongo.Database) error {
		return admin.RunCommand(ctx, command).Err()
	})
}

// createAdmin uses the localhost exception: who comes from 127.0.0.1 may create the first user. All members have the user when it returns.
func (s *Set) createAdmin(ctx context.Context) error {
	return with(ctx, s.compose(nil, "", nil), func(admin *mongo.Database) error {
		return admin.RunCommand(ctx, bson.D{
			{Key: "createUser", Value: adminName}, {Key: "pwd", Value: adminPassword}, {Key: "roles", Value: bson.A{"root"}},
			{Key: "writeConcern", Value: bson.D{{Key: "w", Value: len(s.members)}}},
		}).Err()
	})
}

// Primary waits for a primary that a majority of the members follows, and returns it. The test fails when there is none within a minute, or
// when the set is a shared one.
func (s *Set) Primary(t testing.TB) *Member {
	t.Helper()
	if len(s.members) == 0 {
		t.Fatal("the members of a shared set are no test's to hurt: start one with Start")
	}
	ctx, cancel := context.WithTimeout(t.Context(), startWithin)
	defer cancel()
	m, err := s.awaitPrimary(ctx, "majority")
	if err != nil {
		t.Fatalf("no primary within %v: %v", startWithin, err)
	}
	return m
}

// awaitPrimary returns a primary that had a write acknowledged by so many members, w as in a write concern.
func (s *Set) awaitPrimary(ctx context.Context, w any) (primary *Member, err error) {
	err = with(ctx, s.URI(), func(admin *mongo.Database) error {
		again := time.NewTicker(20 * time.Millisecond)
		defer again.Stop()
		for {
			var err error
			if primary, err = s.provenPrimary(ctx, admin, w); err == nil {
				return nil
			}
			select {
			case <-again.C:
			case <-ctx.Done():
				return errors.Join(ctx.Err(), err)
			}
		}
	})
	return primary, err
}

func (s *Set) provenPrimary(ctx context.Context, admin *mongo.Database, w any) (*Member, error) {
	var hello struct{ Me string }
	if err := admin.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello); err != nil {
		return nil, err
	}
	err := admin.RunCommand(ctx, bson.D{ // a write into the oplog that leaves no collection behind
		{Key: "appendOplogNote", Value: 1}, {Key: "data", Value: bson.D{{Key: "test", Value: "is there a primary?"}}},
		{Key: "writeConcern", Value: bson.D{{Key: "w", Value: w}}},
	}).Err()
	if err != nil {
		return nil, err
	}
	for _, m := range s.members {
		if m.Addr() == hello.Me {
			return m, nil
		}
	}
	return nil, fmt.Errorf("%s is no member", hello.Me)
}

// awaitMembership waits until the member is a primary or a secondary.
func (m *Member) awaitMembership(ctx context.Context) error {
	return with(ctx, m.set.compose(nil, m.Addr(), nil), func(admin *mongo.Database) error {
		return m.process.until(ctx, func() error {
			var hello struct{ IsWritablePrimary, Secondary bool }
			if err := admin.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello); err != nil {
				return err
			}
			if !hello.IsWritablePrimary && !hello.Secondary {
				return errors.New("it is neither primary nor secondary")
			}
			return nil
		})
	})
}

func connect(uri string) (*mongo.Client, error) {
	return mongo.Connect(options.Client().ApplyURI(uri).SetServerSelectionTimeout(startWithin).SetReadPreference(readpref.Primary()))
}

// with runs commands on the database admin of the primary, or of the one member that the URI is for.
func with(ctx context.Context, uri string, run func(*mongo.Database) error) (err error) {
	client, err := connect(uri)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
		defer cancel()
		err = errors.Join(err, client.Disconnect(ctx))
	}()
	return run(client.Database("admin"))
}
