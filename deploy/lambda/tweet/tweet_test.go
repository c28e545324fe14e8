package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/goleak"

	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
	"github.com/onehost/edge/deploy/lambda/internal/functiontest"
)

var shared mongodbtest.Shared

func TestMain(m *testing.M) { goleak.VerifyTestMain(shared.Around(m)) }

// both runs a test with each of the databases, in which these texts are, and with an X.
func both(t *testing.T, documents []string, test func(t *testing.T, f *function, x *fakeX, env map[string]string)) {
	functiontest.Both(t, &shared, func(t *testing.T, variable, value string) {
		x := newX(t)
		env := maps.Clone(keys)
		env[variable], env["X_API_URL"] = value, x.URL
		f := opened(t, env)
		fill(t, f, documents)
		test(t, f, x, env)
	})
}

func opened(t *testing.T, env map[string]string) *function {
	t.Helper()
	f, err := open(t.Context(), func(name string) string { return env[name] }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if f.x != nil {
			f.x.client.CloseIdleConnections()
		}
		if err := f.db.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return f
}

func fill(t *testing.T, f *function, documents []string) {
	t.Helper()
	for i, text := range documents {
		var err error
		if f.db.Mongo != nil {
			id := any(bson.NewObjectID())
			if i%2 == 1 {
				id = i
			}
			_, err = f.db.Mongo.Collection("tweets").InsertOne(t.Context(), bson.M{"_id": id, "text": text})
		} else if err = f.texts.(*sqliteTexts).make(t.Context()); err == nil {
			_, err = f.db.SQLite.ExecContext(t.Context(), "INSERT INTO tweets (text) VALUES (?)", text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestNoDocumentIsPostedTwiceInARow(t *testing.T) {
	both(t, []string{"one", "two", "three"}, func(t *testing.T, f *function, x *fakeX, _ map[string]string) {
		for i := range 20 {
			if outcome, err := f.run(t.Context(), fmt.Sprint("event ", i)); err != nil || outcome.Posted != "177" {
				t.Fatalf("%+v, %v", outcome, err)
			}
		}
		posts := x.all()
		seen := map[string]bool{}
		for i, post := range posts {
			if seen[post] = true; i > 0 && posts[i-1] == post {
				t.Errorf("%q was posted twice in a row", post)
			}
		}
		if len(posts) != 20 || len(seen) != 3 {
			t.Errorf("posted: %q", posts)
		}
	})
}

func TestAnEventIsPostedOnce(t *testing.T) {
	both(t, []string{"one", "two"}, func(t *testing.T, f *function, x *fakeX, _ map[string]string) {
		for range 2 {
			if _, err := f.run(t.Context(), "the event"); err != nil {
				t.Fatal(err)
			}
		}
		if posts := x.all(); len(posts) != 1 {
			t.Errorf("posted: %q", posts)
		}
	})
}

func TestOfRunsAtOnceOnePosts(t *testing.T) {
	both(t, []string{"one", "two", "three"}, func(t *testing.T, f *function, x *fakeX, env map[string]string) {
		arrived, release := make(chan struct{}), make(chan struct{})
		x.answers(func(http.ResponseWriter, string) bool { close(arrived); <-release; x.answer = nil; return false })
		other := opened(t, env)
		var working sync.WaitGroup
		working.Go(func() {
			if outcome, err := f.run(t.Context(), "first"); err != nil || outcome.Posted == "" {
				t.Errorf("the first: %+v, %v", outcome, err)
			}
		})
		<-arrived
		if outcome, err := other.run(t.Context(), "second"); err != nil || outcome.Skipped == "" {
			t.Errorf("the second: %+v, %v", outcome, err)
		}
		close(release)
		working.Wait()
		if posts := x.all(); len(posts) != 1 {
			t.Errorf("posted: %q", posts)
		}
	})
}

// failing makes X give one answer.
func failing(status int, header map[string]string, detail string) func(http.ResponseWriter, string) bool {
	return func(w http.ResponseWriter, _ string) bool {
		for name, value := range header {
			w.Header().Set(name, value)
		}
		problem(w, status, "Title", detail)
		return true
	}
}

func TestErrorsOfXAreToldApartAndWhatWasNotPostedMayBePostedNext(t *testing.T) {
	both(t, []string{"one", "two"}, func(t *testing.T, f *function, x *fakeX, _ map[string]string) {
		for _, test := range []struct {
			answer func(http.ResponseWriter, string) bool
			want   string
		}{
			{failing(429, map[string]string{"x-rate-limit-reset": "1900000000"}, ""), "*main.RateLimited: X takes no more posts of this app or account before 2030-03-17T17:46:40Z"},
			{failing(401, nil, "no"), "*main.Unauthorized: X does not take the keys"},
			{failing(403, nil, "not permitted"), "*main.Forbidden: X does not let"},
			{failing(400, nil, "bad"), "*main.Refused: X refused the post with 400"},
		} {
			x.answers(test.answer)
			if _, err := f.run(t.Context(), "same event"); !strings.HasPrefix(fmt.Sprintf("%T: %v", err, err), test.want) {
				t.Errorf("%T: %v, want %s", err, err, test.want)
			}
		}
		x.answers(nil)
		if outcome, err := f.run(t.Context(), "same event"); err != nil || outcome.Posted == "" {
			t.Errorf("afterwards: %+v, %v", outcome, err)
		}
	})
}

func TestWhatXMayHaveIsNotPostedNextNorByTheSameEvent(t *testing.T) {
	both(t, []string{"one", "two", "three"}, func(t *testing.T, f *function, x *fakeX, _ map[string]string) {
		for round := range 4 {
			var lost string
			x.answers(func(w http.ResponseWriter, text string) bool { // X has it, and its answer is lost
				x.posts, lost = append(x.posts, text), text
				if round%2 == 0 {
					panic(http.ErrAbortHandler)
				}
				problem(w, 503, "Service Unavailable", "")
				return true
			})
			event := fmt.Sprint("event ", round)
			if _, err := f.run(t.Context(), event); !isUnknown(err) {
				t.Fatalf("%T %v", err, err)
			}
			x.answers(nil)
			if outcome, err := f.run(t.Context(), event); err != nil || outcome.Skipped == "" {
				t.Errorf("the event again: %+v, %v", outcome, err)
			}
			if _, err := f.run(t.Context(), event+" next"); err != nil {
				t.Fatal(err)
			}
			if posts := x.all(); posts[len(posts)-1] == lost || len(posts) != 2*(round+1) {
				t.Errorf("after %q: %q", lost, posts)
			}
		}
	})
}

func TestOfTwoDocumentsTheDoubtfulOneIsTriedAgainForXRefusesDuplicates(t *testing.T) {
	both(t, []string{"one", "two"}, func(t *testing.T, f *function, x *fakeX, _ map[string]string) {
		if _, err := f.run(t.Context(), "1"); err != nil {
			t.Fatal(err)
		}
		x.answers(func(w http.ResponseWriter, text string) bool {
			x.posts = append(x.posts, text)
			problem(w, 500, "", "")
			return true
		})
		if _, err := f.run(t.Context(), "2"); !isUnknown(err) {
			t.Fatal(err)
		}
		x.answers(nil)
		if _, err := f.run(t.Context(), "3"); !isDuplicate(err) {
			t.Fatal(err)
		}
		if outcome, err := f.run(t.Context(), "4"); err != nil || outcome.Posted == "" {
			t.Errorf("%+v, %v", outcome, err)
		}
		posts := x.all()
		if len(posts) != 3 || posts[0] == posts[1] || posts[1] == posts[2] {
			t.Errorf("posted: %q", posts)
		}
	})
}

func TestADocumentThatIsTooLongIsPassedOver(t *testing.T) {
	both(t, []string{strings.Repeat("日", 141), "fits", "", "  \n", strings.Repeat("x", 281)}, func(t *testing.T, f *function, x *fakeX, _ map[string]string) {
		if outcome, err := f.run(t.Context(), ""); err != nil || outcome.Posted == "" {
			t.Fatalf("%+v, %v", outcome, err)
		}
		if _, err := f.run(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "two at least are needed") {
			t.Error("one document after itself:", err)
		}
		if posts := x.all(); len(posts) != 1 || posts[0] != "fits" {
			t.Errorf("posted: %q", posts)
		}
	})
}

func TestTheProgramPostsAndARunThatWasKilledIsNotRepeated(t *testing.T) {
	program := functiontest.Build(t)
	both(t, []string{"one", "two", "three"}, func(t *testing.T, f *function, x *fakeX, env map[string]string) {
		t.Run("posts", func(t *testing.T) {
			running := functiontest.Start(t, program, 4, env)
			var working sync.WaitGroup
			for i := range 12 {
				working.Go(func() {
					event := fmt.Sprintf(`{"version":"0","id":"scheduled-%d","detail-type":"Scheduled Event","source":"aws.events","detail":{}}`, i)
					if payload, failure := running.Invoke(t, []byte(event)); failure != nil || !json.Valid(payload) {
						t.Errorf("%s %+v", payload, failure)
					}
				})
			}
			working.Wait()
			x.answers(failing(429, map[string]string{"x-rate-limit-reset": "1900000000"}, ""))
			if payload, failure := running.Invoke(t, []byte("null")); failure == nil || failure.Type != "RateLimited" {
				t.Errorf("%s %+v", payload, failure)
			}
			x.answers(nil)
		})
		died := make(chan string, 1)
		release := make(chan struct{})
		t.Run("is killed", func(t *testing.T) {
			running := functiontest.Start(t, program, 1, env)
			x.answers(func(_ http.ResponseWriter, text string) bool {
				x.posts = append(x.posts, text)
				died <- text
				<-release
				panic(http.ErrAbortHandler)
			})
			go running.Invoke(t, []byte(`{"id":"killed"}`))
			<-died
		})
		close(release)
		x.answers(nil)
		f.now = func() time.Time { return time.Now().Add(time.Hour) } // when the killed one's lease is over
		if outcome, err := f.run(t.Context(), "killed"); err != nil || outcome.Skipped == "" {
			t.Errorf("the killed one's event again: %+v, %v", outcome, err)
		}
		posts := x.all()
		for i := range posts[1:] {
			if posts[i] == posts[i+1] {
				t.Errorf("twice in a row: %q", posts)
			}
		}
	})
}

func TestADryRunNeedsNoKeysAndPostsNothing(t *testing.T) {
	program := functiontest.Build(t)
	functiontest.Both(t, &shared, func(t *testing.T, variable, value string) {
		env := map[string]string{variable: value, "DRY_RUN": "1"}
		fill(t, opened(t, env), []string{"one", "two"})
		running := functiontest.Start(t, program, 1, env)
		for range 2 {
			payload, failure := running.Invoke(t, []byte(`{}`))
			if failure != nil || !strings.Contains(string(payload), `"dry_run":true`) {
				t.Errorf("%s %+v", payload, failure)
			}
		}
		if out := running.Output(); !strings.Contains(out, `"text":"one"`) || !strings.Contains(out, `"text":"two"`) {
			t.Error("logged:", out)
		}
	})
}

func TestFaultsOfSettingsAreToldAtInitWithoutTheirValues(t *testing.T) {
	program := functiontest.Build(t)
	running := functiontest.Start(t, program, 1, map[string]string{
		"X_CONSUMER_KEY": "visible-not", "X_API_URL": "http://secret.example", "TWEET_FIELD": "a.b", "MONGODB_URI": "mongodb://functions:hidden-word@db1/",
	})
	_, failure := running.Invoke(t, []byte("{}"))
	if running.End(); failure == nil || !strings.Contains(running.Output(), "does not start") {
		t.Fatal("it starts, or does not log why not:", running.Output())
	}
	for _, name := range []string{"X_CONSUMER_SECRET", "X_ACCESS_TOKEN", "X_ACCESS_SECRET", "X_API_URL", "TWEET_FIELD", "MONGODB_URI"} {
		if !strings.Contains(failure.Message, name) {
			t.Errorf("%s is not in: %s", name, failure.Message)
		}
	}
	for _, value := range []string{"visible-not", "secret.example", "hidden-word"} {
		if strings.Contains(failure.Message+running.Output(), value) {
			t.Errorf("%s is shown: %s", value, failure.Message)
		}
	}
	if failure.Type != "Runtime.ConfigurationError" {
		t.Error(failure.Type)
	}
}
