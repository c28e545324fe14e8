package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// mongoTexts takes documents of a collection, whose _id may be anything, and keeps the progress in one document of tweet_state.
type mongoTexts struct {
	documents *mongo.Collection
	state     *mongo.Collection
	field     string
	key       string // of the progress
}

func (m *mongoTexts) begin(ctx context.Context, owner string, now, until time.Time) (progress, bool, error) {
	filter := bson.M{"_id": m.key, "until": bson.M{"$lte": now}}
	update := bson.M{"$set": bson.M{"owner": owner, "until": until}}
	var kept struct {
		Recent []string `bson:"recent"`
		Events []string `bson:"events"`
	}
	err := m.state.FindOneAndUpdate(ctx, filter, update, options.FindOneAndUpdate().SetUpsert(true).SetReturnDocument(options.After)).Decode(&kept)
	if mongo.IsDuplicateKeyError(err) {
		return progress{}, false, nil
	}
	if err != nil {
		return progress{}, false, fmt.Errorf("beginning: %w", err)
	}
	return progress{kept.Recent, kept.Events}, true, nil
}

func (m *mongoTexts) save(ctx context.Context, owner string, p progress) error {
	return m.set(ctx, owner, bson.M{"recent": p.Recent, "events": p.Events})
}

func (m *mongoTexts) end(ctx context.Context, owner string, p progress) error {
	return m.set(ctx, owner, bson.M{"recent": p.Recent, "events": p.Events, "owner": "", "until": time.Unix(0, 0)})
}

func (m *mongoTexts) set(ctx context.Context, owner string, fields bson.M) error {
	done, err := m.state.UpdateOne(ctx, bson.M{"_id": m.key, "owner": owner}, bson.M{"$set": fields})
	if err == nil && done.MatchedCount == 0 {
		err = errLost
	}
	if err != nil {
		return fmt.Errorf("writing the progress down: %w", err)
	}
	return nil
}

func (m *mongoTexts) random(ctx context.Context, not []string) (id, text string, err error) {
	ids := bson.A{}
	for _, s := range not {
		v, err := parseID(s)
		if err != nil {
			return "", "", err
		}
		ids = append(ids, v)
	}
	found, err := m.documents.Aggregate(ctx, bson.A{
		bson.M{"$match": bson.M{"_id": bson.M{"$nin": ids}, m.field: bson.M{"$type": "string"}}},
		bson.M{"$sample": bson.M{"size": 1}},
		bson.M{"$project": bson.M{"text": "$" + m.field}},
	})
	if err != nil {
		return "", "", err
	}
	var all []struct {
		ID   bson.RawValue `bson:"_id"`
		Text string        `bson:"text"`
	}
	if err := found.All(ctx, &all); err != nil {
		return "", "", err
	}
	if len(all) == 0 {
		return "", "", errNone
	}
	id, err = formatID(all[0].ID)
	return id, strings.TrimSpace(all[0].Text), err
}

// formatID writes an _id of any type as canonical extended JSON, which says its type.
func formatID(id bson.RawValue) (string, error) {
	text, err := bson.MarshalExtJSON(bson.M{"id": id}, true, false)
	return string(text), err
}

func parseID(text string) (bson.RawValue, error) {
	var v struct {
		ID bson.RawValue `bson:"id"`
	}
	if !json.Valid([]byte(text)) {
		return v.ID, fmt.Errorf("%q of tweet_state is not the id of a document", text)
	}
	err := bson.UnmarshalExtJSON([]byte(text), true, &v)
	return v.ID, err
}
