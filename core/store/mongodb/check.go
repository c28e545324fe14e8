package mongodb

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/onehost/edge/core/store"
)

// Check implements [store.Store]: whether all collections have their indexes, all documents can be read and be where they are, and the
// server finds its own files in order, where the user may ask it to look (the action validate).
func (s *Store) Check(ctx context.Context) error {
	if err := s.Ready(ctx); err != nil {
		return err
	}
	all, err := s.Collections(ctx)
	if err != nil {
		return err
	}
	var found []error
	for _, c := range all {
		found = append(found, s.checkIndexes(ctx, c), s.checkFiles(ctx, c), s.checkDocuments(ctx, c))
	}
	return errors.Join(found...)
}

func (s *Store) checkIndexes(ctx context.Context, c store.Collection) error {
	return s.read(ctx, "checking the indexes of "+c.Name, func(ctx context.Context, client *mongo.Client) error {
		there, found, err := indexesIn(ctx, s.in(client, &c))
		if err != nil {
			return err
		}
		if !found {
			return spoken{fmt.Errorf("the collection %s is gone", c.Name)}
		}
		var wrong []error
		for _, i := range without(indexesOf(c), there) {
			wrong = append(wrong, fmt.Errorf("%s: the index %q is missing or not as it was described", c.Name, i.name))
		}
		if len(wrong) == 0 {
			return nil
		}
		return spoken{errors.Join(wrong...)}
	})
}

// checkFiles has the server look at its own files.
func (s *Store) checkFiles(ctx context.Context, c store.Collection) error {
	return s.read(ctx, "checking the files of "+c.Name, func(ctx context.Context, client *mongo.Client) error {
		var said struct {
			Valid    bool     `bson:"valid"`
			Errors   []string `bson:"errors"`
			Warnings []string `bson:"warnings"`
		}
		err := s.in(client, &c).Database().RunCommand(ctx, bson.D{{Key: "validate", Value: c.Name}}).Decode(&said)
		if code, _ := codeOf(err); code == codeUnauthorized {
			return nil
		}
		if err != nil || said.Valid {
			return err
		}
		return spoken{fmt.Errorf("%s: MongoDB finds its files damaged: %v %v", c.Name, said.Errors, said.Warnings)}
	})
}

const (
	checkPage    = 1000 // documents that are looked at in one call
	checkReports = 20   // documents of one collection that are named
)

func (s *Store) checkDocuments(ctx context.Context, c store.Collection) error {
	var wrong []error
	for after, more := (bson.RawValue{}), true; more; {
		err := s.read(ctx, "checking the documents of "+c.Name, func(ctx context.Context, client *mongo.Client) (err error) {
			var page []error
			page, after, more, err = checkPageOf(ctx, s.in(client, &c), c, after)
			wrong = append(wrong, page...)
			return err
		})
		if err != nil {
			return err
		}
	}
	if n := len(wrong); n > checkReports {
		wrong = append(wrong[:checkReports], fmt.Errorf("%s: %d more documents are damaged", c.Name, n-checkReports))
	}
	return errors.Join(wrong...)
}

// checkPageOf looks at the documents whose ids come next.
func checkPageOf(ctx context.Context, in *mongo.Collection, c store.Collection, after bson.RawValue) (wrong []error, last bson.RawValue, more bool, err error) {
	condition := bson.D{}
	if !after.IsZero() { // $gt alone would stop where ids of another kind begin
		condition = bson.D{{Key: "$expr", Value: call("$gt", "$_id", bson.D{{Key: "$literal", Value: after}})}}
	}
	cursor, err := in.Find(ctx, condition, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(checkPage))
	if err != nil {
		return nil, after, false, err
	}
	defer func() { _ = cursor.Close(ctx) }() // what is left of it ends with the session
	last = after
	for n := 1; cursor.Next(ctx); n++ {
		more = n == checkPage
		last = cursor.Current.Lookup("_id")
		last.Value = append([]byte(nil), last.Value...)
		d, err := decode(c.Name, cursor.Current)
		if err == nil {
			err = checkDocument(c, d)
		}
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	return wrong, last, more, cursor.Err()
}

func checkDocument(c store.Collection, d store.Document) error {
	normal, _, err := store.Normal(d)
	if err == nil {
		err = c.Accept(normal)
	}
	if err != nil {
		return fmt.Errorf("%s, document %.80q: %s", c.Name, d.ID(), err) //nolint:errorlint // what is kept is damage, not a request that is invalid
	}
	return nil
}
