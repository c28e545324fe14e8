package mongodb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// known is a collection that Ensure was called for.
type known struct {
	store.Collection
	plain paths
	ready atomic.Bool   // it is as described; if not, the server was unavailable
	doing chan struct{} // held by who makes up for that
}

// Ensure implements [store.Store]. An index is built as long as that takes: who describes a new one for a large collection gives ctx
// the time.
func (s *Store) Ensure(ctx context.Context, collections ...store.Collection) error {
	for _, c := range collections {
		if err := c.Check(); err != nil {
			return err
		}
	}
	for i, c := range collections {
		k := newKnown(c)
		err := s.run(ctx, "making the collection "+c.Name, func(ctx context.Context, client *mongo.Client) error {
			return s.ensure(ctx, client, k.Collection)
		})
		if err != nil {
			if fault.CodeOf(err) == fault.Unavailable {
				s.learn(collections[i:], false)
			}
			return err
		}
		s.learn(collections[i:i+1], true)
	}
	return nil
}

func newKnown(c store.Collection) *known {
	c.Indexes = slices.Clone(c.Indexes)
	for i := range c.Indexes {
		c.Indexes[i].Fields = slices.Clone(c.Indexes[i].Fields)
	}
	return &known{Collection: c, plain: plainPaths(c), doing: make(chan struct{}, 1)}
}

func (s *Store) learn(collections []store.Collection, ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range collections {
		k := newKnown(c)
		k.ready.Store(ready)
		s.known[c.Name] = k
	}
}

// use returns the collection that a call is for, when it and those that the condition looks at are there.
func (s *Store) use(ctx context.Context, collection string, f store.Filter) (*store.Collection, error) {
	k, err := s.needed(ctx, collection)
	if err != nil {
		return nil, err
	}
	for _, name := range collectionsOf(f) {
		other, err := s.needed(ctx, name)
		if err != nil {
			return nil, err
		}
		if other.Private != k.Private {
			return nil, fmt.Errorf("%s and %s: one is private, one is not: %w", collection, name, fault.Invalid)
		}
	}
	return &k.Collection, nil
}

// needed returns a collection. What Ensure could not do is made up for first.
func (s *Store) needed(ctx context.Context, name string) (*known, error) {
	s.mu.RLock()
	k := s.known[name]
	s.mu.RUnlock()
	if k == nil {
		return nil, fmt.Errorf("there is no collection %.80q: %w", name, fault.Invalid)
	}
	if k.ready.Load() {
		return k, nil
	}
	err := s.run(ctx, "making the collection "+name, func(ctx context.Context, client *mongo.Client) error {
		select {
		case k.doing <- struct{}{}:
			defer func() { <-k.doing }()
		case <-ctx.Done():
			return ctx.Err()
		}
		if k.ready.Load() {
			return nil
		}
		if err := s.ensure(ctx, client, k.Collection); err != nil {
			return err
		}
		k.ready.Store(true)
		return nil
	})
	return k, err
}

// translator is for the conditions on the documents of a collection.
func (s *Store) translator(c *store.Collection) translator {
	return translator{plain: s.plainOf(c.Name), others: s.plainOf}
}

func (s *Store) plainOf(collection string) paths {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if k := s.known[collection]; k != nil {
		return k.plain
	}
	return nil
}

// attempts are how often it is tried to make a collection when another host is doing the same.
const attempts = 10

func (s *Store) ensure(ctx context.Context, client *mongo.Client, c store.Collection) error {
	for i := 1; ; i++ {
		err := s.ensureOnce(ctx, client, c)
		code, _ := codeOf(err)
		if !isRace(code) || i == attempts || pause(ctx, i) != nil {
			return duplicate(c.Name, err)
		}
	}
}

// isRace reports whether an error comes from another host that makes or removes the same collection or index: an index that is gone, is
// there, or is being made (error_codes.yml).
func isRace(code int) bool {
	switch code {
	case codeNamespaceNotFound, codeIndexNotFound, codeNamespaceExists, 68, 85, 86, 112, 117, 275, 276, 12586, 12587:
		return true
	}
	return false
}

func (s *Store) ensureOnce(ctx context.Context, client *mongo.Client, c store.Collection) error {
	in := s.in(client, &c)
	there, found, err := indexesIn(ctx, in)
	if err != nil {
		return err
	}
	if !found {
		if err := in.Database().CreateCollection(ctx, c.Name); err != nil {
			return err
		}
	}
	wanted := indexesOf(c)
	missing := without(wanted, there)
	if found && len(missing) > 0 {
		if err := acceptable(ctx, in, c); err != nil {
			return err
		}
	}
	if err := build(ctx, in, missing, without(there, wanted)); err != nil {
		return err
	}
	return s.list(ctx, client, c)
}

// indexesIn returns the indexes of a collection but that on _id, and whether the collection is there.
func indexesIn(ctx context.Context, in *mongo.Collection) (all []index, found bool, err error) {
	cursor, err := in.Indexes().List(ctx)
	if code, _ := codeOf(err); code == codeNamespaceNotFound {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	var raw []bson.Raw
	if err := cursor.All(ctx, &raw); err != nil {
		return nil, false, err
	}
	for _, r := range raw {
		found = true // every collection has the index on _id
		i, ours := parseIndex(r)
		if !ours {
			i.fields = append(i.fields, "") // equal to none of ours
		}
		if i.name != "_id_" {
			all = append(all, i)
		}
	}
	return all, found, nil
}

func without(indexes, others []index) []index {
	return slices.DeleteFunc(slices.Clone(indexes), func(i index) bool { return slices.ContainsFunc(others, i.equal) })
}

// acceptable looks through what is there for a document that can't be in the collection as it is described.
func acceptable(ctx context.Context, in *mongo.Collection, c store.Collection) error {
	var lists bson.A
	nested := bson.D{{Key: "$type", Value: bson.A{"array", "object"}}}
	for _, i := range indexesOf(c) {
		if i.list {
			continue
		}
		for _, path := range i.fields {
			for _, prefix := range withoutLast(path) {
				lists = append(lists, bson.D{{Key: prefix, Value: bson.D{{Key: "$type", Value: "array"}}}})
			}
			lists = append(lists, bson.D{{Key: path, Value: nested}})
		}
	}
	if len(lists) == 0 {
		return nil
	}
	raw, err := in.FindOne(ctx, bson.D{{Key: "$or", Value: lists}}).Raw()
	if err != nil {
		if errors.Is(err, mongo.ErrNoDocuments) {
			return nil
		}
		return err
	}
	d, err := decode(c.Name, raw)
	if err != nil {
		return spoken{err}
	}
	if err := c.Accept(d); err != nil {
		why := strings.TrimSuffix(err.Error(), ": "+fault.Invalid.Error()) // the call is valid: what is there is in its way
		return fmt.Errorf("the document %.80q: %s: %w", d.ID(), why, fault.Conflict)
	}
	return nil
}

// build makes the missing indexes, then removes those that are not described; before, where both can't be there at once.
func build(ctx context.Context, in *mongo.Collection, missing, surplus []index) error {
	later := surplus[:0:0]
	for _, old := range surplus {
		inTheWay := func(i index) bool { return i.name == old.name || slices.Equal(i.fields, old.fields) }
		if !slices.ContainsFunc(missing, inTheWay) {
			later = append(later, old)
			continue
		}
		if err := in.Indexes().DropOne(ctx, old.name); err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		var models []mongo.IndexModel
		for _, i := range missing {
			models = append(models, i.model())
		}
		// A member that is down for a day must not hold this up.
		if _, err := in.Indexes().CreateMany(ctx, models, options.CreateIndexes().SetCommitQuorumMajority()); err != nil {
			return err
		}
	}
	for _, old := range later {
		if err := in.Indexes().DropOne(ctx, old.name); err != nil {
			return err
		}
	}
	return nil
}
