package mongodb

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, collection, id string) (store.Document, error) {
	c, err := s.use(ctx, collection, nil)
	if err != nil {
		return nil, err
	}
	var d store.Document
	err = s.read(ctx, "reading of "+collection, func(ctx context.Context, client *mongo.Client) error {
		raw, err := s.in(client, c).FindOne(ctx, byID(id)).Raw()
		if errors.Is(err, mongo.ErrNoDocuments) {
			return fmt.Errorf("%s %.80q: %w", collection, id, fault.NotFound)
		}
		if err == nil {
			d, err = s.decode(collection, raw)
		}
		return err
	})
	return d, err
}

func (s *Store) decode(collection string, raw bson.Raw) (store.Document, error) {
	d, err := decode(collection, raw)
	if err != nil {
		return nil, spoken{err}
	}
	return d, nil
}

// Find implements [store.Store].
func (s *Store) Find(ctx context.Context, q store.Query) ([]store.Document, error) {
	if err := q.Check(true); err != nil {
		return nil, err
	}
	c, err := s.use(ctx, q.Collection, q.Filter)
	if err != nil {
		return nil, err
	}
	var found []store.Document
	err = s.read(ctx, "looking in "+q.Collection, func(ctx context.Context, client *mongo.Client) error {
		cursor, err := s.find(ctx, atOneMoment(s.in(client, c)), s.translator(c), q)
		if err != nil {
			return err
		}
		found, err = s.collect(ctx, cursor, q.Collection, q.MaxBytes)
		return err
	})
	return found, err
}

// collect decodes what a cursor has, to its end or to the document that brings it to so many bytes, and closes it. 0 bounds nothing.
func (s *Store) collect(ctx context.Context, cursor *mongo.Cursor, collection string, maxBytes int) ([]store.Document, error) {
	defer func() { _ = cursor.Close(ctx) }() // the server closes what is at its end, and forgets the rest with the session
	found, bytes := make([]store.Document, 0, cursor.RemainingBatchLength()), 0
	for (maxBytes == 0 || bytes < maxBytes) && cursor.Next(ctx) {
		d, err := s.decode(collection, cursor.Current)
		if err != nil {
			return nil, err
		}
		if maxBytes > 0 {
			bytes += store.Size(d)
		}
		found = append(found, d)
	}
	return found, cursor.Err()
}

func (s *Store) find(ctx context.Context, in *mongo.Collection, t translator, q store.Query) (*mongo.Cursor, error) {
	keys, computed := t.sortKeys(q.Sort)
	if computed == nil && !hasRelated(q.Filter) {
		o := options.Find().SetSort(keys).SetSkip(int64(q.Skip)).SetLimit(int64(q.Limit)).SetBatchSize(int32(q.Limit))
		if q.Fields != nil {
			o.SetProjection(projection(q.Fields))
		}
		return in.Find(ctx, t.condition(q.Filter), o)
	}
	stages := append(t.stages(q.Filter), computed...)
	stages = append(stages, bson.D{{Key: "$sort", Value: keys}})
	if q.Skip > 0 {
		stages = append(stages, bson.D{{Key: "$skip", Value: q.Skip}})
	}
	stages = append(stages, bson.D{{Key: "$limit", Value: q.Limit}})
	if q.Fields != nil {
		stages = append(stages, bson.D{{Key: "$project", Value: projection(q.Fields)}})
	} else if names := hiddenIn(stages); len(names) > 0 {
		stages = append(stages, bson.D{{Key: "$unset", Value: names}})
	}
	return in.Aggregate(ctx, stages, options.Aggregate().SetBatchSize(int32(q.Limit)).SetAllowDiskUse(true))
}

// condition is match where no other collection is looked at; nil is met by all.
func (t translator) condition(f store.Filter) bson.D {
	if f == nil {
		return bson.D{}
	}
	return t.match(f)
}

// hiddenIn returns the fields that a pipeline has added on its way.
func hiddenIn(stages pipeline) []string {
	var names []string
	for _, stage := range stages {
		switch body, _ := stage[0].Value.(bson.D); stage[0].Key {
		case "$addFields":
			for _, e := range body {
				names = append(names, e.Key)
			}
		case "$lookup":
			names = append(names, body[len(body)-1].Value.(string)) // as
		}
	}
	return names
}

func projection(fields []string) bson.D {
	p := bson.D{{Key: "_id", Value: 1}}
	seen := map[string]bool{"id": true}
	for _, field := range fields {
		if !seen[field] {
			seen[field] = true
			p = append(p, bson.E{Key: field, Value: 1})
		}
	}
	return p
}

// Count implements [store.Store].
func (s *Store) Count(ctx context.Context, collection string, f store.Filter) (int, error) {
	if err := store.CheckFilter(f); err != nil {
		return 0, err
	}
	c, err := s.use(ctx, collection, f)
	if err != nil {
		return 0, err
	}
	var counted []struct {
		N int `bson:"n"`
	}
	err = s.read(ctx, "counting in "+collection, func(ctx context.Context, client *mongo.Client) error {
		stages := append(s.translator(c).stages(f), bson.D{{Key: "$count", Value: "n"}})
		cursor, err := atOneMoment(s.in(client, c)).Aggregate(ctx, stages)
		if err != nil {
			return err
		}
		return cursor.All(ctx, &counted)
	})
	if err != nil || len(counted) == 0 {
		return 0, err
	}
	return counted[0].N, nil
}
