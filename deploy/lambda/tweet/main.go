// Command tweet is a Lambda function that posts a random document of a collection to X each time that it is invoked, by a schedule. README.md
// beside its folder says how it is deployed and configured.
//
// It never posts the same document twice in a row, also when runs overlap or one dies, and one event is posted once: when it can't be known whether X
// has a post, it is taken to have it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/onehost/edge/deploy/lambda/internal/database"
	"github.com/onehost/edge/deploy/lambda/internal/setting"
	"github.com/onehost/edge/deploy/lambda/internal/start"
)

const name = "tweet"

func main() {
	start.Function(name, func(ctx context.Context, lookup func(string) string, log *slog.Logger) (start.Handler, error) {
		f, err := open(ctx, lookup, log)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, event json.RawMessage) (any, error) { return f.run(ctx, eventID(event)) }, nil
	})
}

// function is the function with what it needs, for all invocations of a process.
type function struct {
	db    *database.Database
	texts texts
	x     *x // nil in a dry run
	now   func() time.Time
	log   *slog.Logger
}

func open(ctx context.Context, lookup func(string) string, log *slog.Logger) (*function, error) {
	s := setting.New(lookup)
	f := &function{now: time.Now, log: log}
	if !s.On("DRY_RUN") {
		f.x = &x{
			url: s.Base("X_API_URL", "https://api.x.com"),
			signer: signer{
				consumerKey: s.Need("X_CONSUMER_KEY", "the API key of the app"), consumerSecret: s.Need("X_CONSUMER_SECRET", "the API key's secret"),
				token: s.Need("X_ACCESS_TOKEN", "the access token of the account, with the right to write"), tokenSecret: s.Need("X_ACCESS_SECRET", "the access token's secret"),
			},
			client: &http.Client{
				Timeout:       xWithin,
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			},
		}
	}
	collection, field := s.Text("TWEET_COLLECTION", "tweets"), s.Text("TWEET_FIELD", "text")
	if !isName(collection) || strings.HasPrefix(strings.ToLower(collection), "sqlite_") {
		s.Fault("TWEET_COLLECTION", "has to be a name of letters, digits and _")
	}
	if !isName(field) {
		s.Fault("TWEET_FIELD", "has to be a name of letters, digits and _")
	}
	db, err := database.Open(ctx, s)
	if err := errors.Join(s.Err(), err); err != nil {
		return nil, err
	}
	f.db, f.texts = db, newTexts(db, collection, field, f.x == nil)
	return f, nil
}

func isName(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// eventID is what tells an event from others: EventBridge's id, which is the same when it delivers one again. "" when there is none.
func eventID(event []byte) string {
	var e struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(event, &e) != nil || len(e.ID) > 200 {
		return ""
	}
	return e.ID
}
