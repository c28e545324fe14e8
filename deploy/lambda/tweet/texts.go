package main

import (
	"context"
	"errors"
	"time"

	"github.com/onehost/edge/deploy/lambda/internal/database"
)

// errNone says that no document may be posted.
var errNone = errors.New("there is no other document with a text: two at least are needed, so that none is posted twice in a row")

// texts are the documents, and what is remembered between runs. One run at a time owns it.
type texts interface {
	// begin gives the progress to a run, unless another one has it and until has not passed.
	begin(ctx context.Context, owner string, now, until time.Time) (p progress, mine bool, err error)
	// save writes progress down, if the owner still has it: else it is an error.
	save(ctx context.Context, owner string, p progress) error
	// end is save, and gives the progress back.
	end(ctx context.Context, owner string, p progress) error
	// random returns one of the documents whose ids are not these, all being as likely, or errNone.
	random(ctx context.Context, not []string) (id, text string, err error)
}

var errLost = errors.New("this run took longer than it may, and another one has begun")

// newTexts keeps a progress of its own for dry runs: what they would post was not posted.
func newTexts(db *database.Database, collection, field string, dryRun bool) texts {
	key := collection
	if dryRun {
		key += " in dry runs"
	}
	if db.Mongo != nil {
		return &mongoTexts{documents: db.Mongo.Collection(collection), state: db.Mongo.Collection("tweet_state"), field: field, key: key}
	}
	return &sqliteTexts{db: db.SQLite, table: collection, field: field, key: key}
}
