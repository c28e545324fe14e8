package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/onehost/edge/deploy/lambda/internal/address"
	"github.com/onehost/edge/deploy/lambda/internal/database"
)

// mongoSubscribers keeps each subscriber as a document of the collection subscribers:
//
//	{_id, email, state, requested, requested_from, confirmed, confirmed_from, unsubscribed, unsubscribe, expires}
type mongoSubscribers struct {
	all *mongo.Collection

	indexed database.Once
}

// index has MongoDB forget who stays pending, and finds the confirmed. It is tried until it succeeds, once.
func (m *mongoSubscribers) index(ctx context.Context) error {
	return m.indexed.Do(func() error {
		_, err := m.all.Indexes().CreateMany(ctx, []mongo.IndexModel{
			{Keys: bson.D{{Key: "expires", Value: 1}}, Options: options.Index().SetExpireAfterSeconds(0)},
			{Keys: bson.D{{Key: "state", Value: 1}}},
		})
		if err != nil {
			return fmt.Errorf("making the indexes of subscribers: %w", err)
		}
		return nil
	})
}

func (m *mongoSubscribers) request(ctx context.Context, a address.Address, client string, now time.Time) (bool, error) {
	if err := m.index(ctx); err != nil {
		return false, err
	}
	known := bson.M{"$in": bson.A{bson.M{"$ifNull": bson.A{"$state", pending}}, bson.A{confirmed, unsubscribed}}}
	keep := func(field string, otherwise any) bson.M {
		return bson.M{"$cond": bson.A{known, "$" + field, bson.M{"$literal": otherwise}}}
	}
	update := bson.A{bson.M{"$set": bson.M{
		"state": keep("state", pending), "email": keep("email", a.String()),
		"requested": now, "requested_from": bson.M{"$literal": client},
		"expires": bson.M{"$cond": bson.A{known, "$$REMOVE", now.Add(pendingFor)}},
	}}}
	after := options.FindOneAndUpdate().SetUpsert(true).SetReturnDocument(options.After)
	var is struct {
		State string `bson:"state"`
	}
	err := m.all.FindOneAndUpdate(ctx, bson.M{"_id": a.ID()}, update, after).Decode(&is)
	if mongo.IsDuplicateKeyError(err) { // somebody asked for the same address at the same moment
		err = m.all.FindOneAndUpdate(ctx, bson.M{"_id": a.ID()}, update, after).Decode(&is)
	}
	return is.State == confirmed, err
}

func (m *mongoSubscribers) confirm(ctx context.Context, c confirmation, now time.Time) (bool, error) {
	waiting := bson.M{"_id": c.id, "$or": bson.A{
		bson.M{"state": pending, "expires": bson.M{"$gt": now}},
		bson.M{"state": unsubscribed, "unsubscribed": bson.M{"$lte": c.issued}},
	}}
	update := bson.M{
		"$set":   bson.M{"state": confirmed, "confirmed": now, "confirmed_from": c.client, "unsubscribe": c.unsubscribe},
		"$unset": bson.M{"expires": 1, "unsubscribed": 1},
	}
	done, err := m.all.UpdateOne(ctx, waiting, update)
	if err != nil || done.MatchedCount == 1 {
		return err == nil, err
	}
	err = m.all.FindOne(ctx, bson.M{"_id": c.id, "state": confirmed}).Err()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return false, nil
	}
	return err == nil, err
}

func (m *mongoSubscribers) unsubscribe(ctx context.Context, id string, now time.Time) error {
	if _, err := m.all.DeleteOne(ctx, bson.M{"_id": id, "state": pending}); err != nil {
		return err
	}
	update := bson.M{"$set": bson.M{"state": unsubscribed, "unsubscribed": now}, "$unset": bson.M{"unsubscribe": 1}}
	_, err := m.all.UpdateOne(ctx, bson.M{"_id": id, "state": confirmed}, update)
	return err
}
