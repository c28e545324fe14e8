package mongodb

import (
	"bytes"
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/onehost/edge/core/store"
)

// listName is where the descriptions of all collections are, in the private database. No collection can have this name.
const listName = "_collections"

func (s *Store) listIn(client *mongo.Client) *mongo.Collection {
	return client.Database(s.databaseOf(true)).Collection(listName)
}

// list writes down how a collection is described, if that is not what is there.
func (s *Store) list(ctx context.Context, client *mongo.Client, c store.Collection) error {
	d := listEntry(c)
	raw := encode(d, store.Size(d))
	before, err := s.listIn(client).FindOne(ctx, byID(c.Name)).Raw()
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) || bytes.Equal(before, raw) {
		return err
	}
	_, err = s.listIn(client).ReplaceOne(ctx, byID(c.Name), raw, options.Replace().SetUpsert(true))
	return err
}

func listEntry(c store.Collection) store.Document {
	indexes := make([]any, len(c.Indexes))
	for i, index := range c.Indexes {
		fields := make([]any, len(index.Fields))
		for j, field := range index.Fields {
			fields[j] = field
		}
		indexes[i] = store.Document{"fields": fields, "unique": index.Unique}
		if index.List {
			indexes[i].(store.Document)["list"] = true //nolint:forcetypeassert // it has just been made
		}
	}
	return store.Document{"id": c.Name, "indexes": indexes, "expire": c.Expire, "feed": int64(c.Feed), "private": c.Private}
}

func listed(d store.Document) store.Collection {
	c := store.Collection{Name: d.ID(), Expire: d.String("expire"), Feed: time.Duration(d.Int("feed")), Private: d.Bool("private")}
	for _, v := range d.List("indexes") {
		i, _ := v.(store.Document)
		index := store.Index{Unique: i.Bool("unique"), List: i.Bool("list")}
		for _, field := range i.List("fields") {
			name, _ := field.(string)
			index.Fields = append(index.Fields, name)
		}
		c.Indexes = append(c.Indexes, index)
	}
	return c
}

// Collections implements [store.Store].
func (s *Store) Collections(ctx context.Context) (all []store.Collection, err error) {
	err = s.read(ctx, "listing the collections", func(ctx context.Context, client *mongo.Client) error {
		all, err = s.listed(ctx, client)
		return err
	})
	return all, err
}

func (s *Store) listed(ctx context.Context, client *mongo.Client) ([]store.Collection, error) {
	cursor, err := s.listIn(client).Find(ctx, bson.D{}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return nil, err
	}
	documents, err := s.collect(ctx, cursor, listName, 0)
	if err != nil {
		return nil, err
	}
	all := make([]store.Collection, len(documents))
	for i, d := range documents {
		all[i] = listed(d)
	}
	return all, nil
}
