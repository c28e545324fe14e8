package ledger

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/onehost/edge/deploy/lambda/internal/database"
)

// mongoEngine keeps a document for each submission and limit. A write that finds no document which it may change inserts one, and
// if there is one after all, its _id is taken: that is the answer no.
type mongoEngine struct {
	submissions *mongo.Collection
	limits      *mongo.Collection

	indexed database.Once
}

func newMongo(db *mongo.Database, name string) *mongoEngine {
	return &mongoEngine{submissions: db.Collection(name + "_submissions"), limits: db.Collection(name + "_limits")}
}

// index has MongoDB remove what has expired. It is tried until it succeeds, once.
func (m *mongoEngine) index(ctx context.Context) error {
	return m.indexed.Do(func() error {
		for _, c := range []*mongo.Collection{m.submissions, m.limits} {
			model := mongo.IndexModel{Keys: bson.D{{Key: "expires", Value: 1}}, Options: options.Index().SetExpireAfterSeconds(0)}
			if _, err := c.Indexes().CreateOne(ctx, model); err != nil {
				return fmt.Errorf("making the index of %s: %w", c.Name(), err)
			}
		}
		return nil
	})
}

func (m *mongoEngine) begin(ctx context.Context, id string, now, until, expires time.Time) (State, error) {
	if err := m.index(ctx); err != nil {
		return Busy, err
	}
	filter := bson.M{"_id": id, "over": false, "until": bson.M{"$lte": now}}
	update := bson.M{"$set": bson.M{"until": until, "expires": expires}}
	done, err := m.submissions.UpdateOne(ctx, filter, update, options.UpdateOne().SetUpsert(true))
	switch {
	case err == nil && done.MatchedCount == 0:
		return Fresh, nil
	case err == nil:
		return Again, nil
	case !mongo.IsDuplicateKeyError(err):
		return Busy, fmt.Errorf("asking for a submission: %w", err)
	}
	over, err := m.submissions.CountDocuments(ctx, bson.M{"_id": id, "over": true})
	if err != nil {
		return Busy, fmt.Errorf("asking for a submission: %w", err)
	}
	if over == 0 {
		return Busy, nil
	}
	return Over, nil
}

func (m *mongoEngine) end(ctx context.Context, id string) error {
	_, err := m.submissions.UpdateOne(ctx, bson.M{"_id": id}, bson.M{"$set": bson.M{"over": true}})
	return err
}

func (m *mongoEngine) drop(ctx context.Context, id string) error {
	_, err := m.submissions.DeleteOne(ctx, bson.M{"_id": id, "over": false})
	return err
}

func (m *mongoEngine) take(ctx context.Context, limit Limit, now time.Time) (bool, error) {
	if err := m.index(ctx); err != nil {
		return false, err
	}
	filter, update := moving(limit, now)
	if limit.Fixed {
		filter, update = fixed(limit, now)
	}
	_, err := m.limits.UpdateOne(ctx, filter, update, options.UpdateOne().SetUpsert(true))
	if !mongo.IsDuplicateKeyError(err) {
		return err == nil, err
	}
	done, err := m.limits.UpdateOne(ctx, filter, update) // another one's first may have come between
	return err == nil && done.MatchedCount == 1, err
}

// moving keeps the last times, as many as may be: one more may come when there are fewer, or the oldest of them is long enough ago.
func moving(limit Limit, now time.Time) (filter, update bson.M) {
	filter = bson.M{"_id": limit.Key, "$or": bson.A{
		bson.M{"at." + strconv.Itoa(limit.Most-1): bson.M{"$exists": false}},
		bson.M{"at.0": bson.M{"$lte": now.Add(-limit.Within)}},
	}}
	update = bson.M{
		"$push": bson.M{"at": bson.M{"$each": bson.A{now}, "$slice": -limit.Most}},
		"$max":  bson.M{"expires": now.Add(limit.Within)},
	}
	return filter, update
}

func fixed(limit Limit, now time.Time) (filter, update bson.M) {
	from := now.Truncate(limit.Within)
	filter = bson.M{"_id": limit.Key + "/" + from.UTC().Format(time.RFC3339), "n": bson.M{"$lt": limit.Most}}
	return filter, bson.M{"$inc": bson.M{"n": 1}, "$set": bson.M{"expires": from.Add(limit.Within)}}
}

func (m *mongoEngine) give(ctx context.Context, limit Limit, at time.Time) error {
	filter, update := bson.M{"_id": limit.Key}, bson.M{"$pull": bson.M{"at": at}}
	if limit.Fixed {
		filter, _ = fixed(limit, at)
		filter, update = bson.M{"_id": filter["_id"], "n": bson.M{"$gt": 0}}, bson.M{"$inc": bson.M{"n": -1}}
	}
	_, err := m.limits.UpdateOne(ctx, filter, update)
	return err
}
