package mongodb

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// feed is a change stream. A goroutine of its own reads it, so that the end of the context of one Next does not break it, and opens it
// again where it was, for as long as it takes, when a server is gone.
type feed struct {
	store  *Store
	in     *store.Collection
	stream *mongo.ChangeStream // of the goroutine, as is what follows
	after  bson.Raw            // where to open it again

	events chan store.Event // closed at the end
	err    error            // why; set before events is closed
	cancel context.CancelFunc
	ended  chan struct{}
}

// Watch implements [store.Store]. A write that leaves a document exactly as it was is no event: MongoDB does nothing then. How long
// events are kept is the size of the server's oplog, not the collection's Feed.
func (s *Store) Watch(ctx context.Context, collection, after string) (store.Feed, error) {
	c, err := s.use(ctx, collection, nil)
	if err != nil {
		return nil, err
	}
	if c.Feed == 0 {
		return nil, fmt.Errorf("%s has no feed: %w", collection, fault.Invalid)
	}
	f := &feed{store: s, in: c, events: make(chan store.Event), ended: make(chan struct{})}
	if after != "" {
		if !isPosition(after) {
			return nil, notPosition(after)
		}
		f.after = encodeToken(after)
	}
	if err := f.open(ctx); err != nil {
		return nil, err
	}
	ctx, f.cancel = context.WithCancel(ctx)
	err = s.begin(func() {
		defer context.AfterFunc(s.life, f.cancel)()
		f.pump(ctx)
	})
	if err != nil {
		f.cancel()
		f.closeStream()
		return nil, err
	}
	return f, nil
}

// isPosition accepts what a resume token of a server looks like. One has some ten bytes and the id.
func isPosition(after string) bool {
	_, err := hex.DecodeString(after)
	return err == nil && len(after) <= 8*store.MaxID
}

func notPosition(after string) error {
	return fmt.Errorf("%.80q is no position of a feed: %w", after, fault.Invalid)
}

func encodeToken(position string) bson.Raw {
	return end(appendField(make([]byte, 4), "_data", position), 0)
}

// awaited is how long the server waits for an event before it says that there is none; answerWithin how long we wait for it to say so.
const (
	awaited      = time.Second
	answerWithin = 5 * time.Second
)

func (f *feed) open(ctx context.Context) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	client, err := f.store.connected(ctx)
	if err == nil {
		err = f.store.health.check(f.store.address.hosts)
	}
	if err != nil {
		return err
	}
	o := options.ChangeStream().SetFullDocument(options.UpdateLookup).SetMaxAwaitTime(awaited)
	if f.after != nil {
		o.SetResumeAfter(f.after)
	}
	if f.stream, err = f.store.in(client, f.in).Watch(ctx, eventStages(), o); err != nil {
		return f.failed(ctx, err)
	}
	if f.after == nil {
		f.after = f.stream.ResumeToken() // a server that is gone before the first event must not have the feed begin later
	}
	return nil
}

// eventStages leave of an event what is ours to tell, and those that end a feed.
func eventStages() pipeline {
	kinds := bson.A{"insert", "update", "replace", "delete", "drop", "rename", "dropDatabase", "invalidate"}
	return pipeline{
		{{Key: "$match", Value: bson.D{{Key: "operationType", Value: bson.D{{Key: "$in", Value: kinds}}}}}},
		{{Key: "$project", Value: bson.D{{Key: "operationType", Value: 1}, {Key: "documentKey", Value: 1}, {Key: "fullDocument", Value: 1}}}},
	}
}

func (f *feed) failed(ctx context.Context, err error) error {
	switch code, _ := codeOf(err); code {
	case codeHistoryLost, codeChangeStreamFatal:
		return fmt.Errorf("what happened in %s is not in the oplog any more: %w", f.in.Name, fault.NotFound)
	case 0, codeUnauthorized, codeAuthenticationFails, codeIllegalOperation:
	default: // of the many codes for a token that can't be read most are internal ones
		if f.after != nil && !isUnavailable(code) {
			token, _ := f.after.Lookup("_data").StringValueOK()
			return notPosition(token)
		}
	}
	return f.store.failed(ctx, "watching "+f.in.Name, err)
}

// pump passes events on until ctx ends or there can be no more.
func (f *feed) pump(ctx context.Context) {
	defer close(f.ended)
	defer close(f.events)
	defer f.closeStream()
	for failures := 0; ; {
		err := f.step(ctx)
		switch {
		case ctx.Err() != nil:
			f.err = fmt.Errorf("the feed of %s has ended: %w: %w", f.in.Name, fault.Unavailable, ctx.Err())
			return
		case err == nil:
			failures = 0
		case fault.CodeOf(err) != fault.Unavailable:
			f.err = err
			return
		default:
			if failures++; failures == 1 {
				f.store.log.Warn("a feed waits for MongoDB", "collection", f.in.Name, "error", err)
			}
			f.closeStream()
			_ = pause(ctx, failures+5) // the end of ctx is seen above
		}
	}
}

// step waits a moment for an event, and passes it on.
func (f *feed) step(ctx context.Context) error {
	if f.stream == nil {
		if err := f.open(ctx); err != nil {
			return err
		}
	}
	answer, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if !f.stream.TryNext(answer) {
		if err := f.stream.Err(); err != nil {
			return f.failed(answer, err)
		}
		f.after = f.stream.ResumeToken()
		return nil
	}
	event, err := f.event(f.stream.Current)
	if err != nil {
		return err
	}
	select {
	case f.events <- event:
		f.after = f.stream.Current.Lookup("_id").Document()
	case <-ctx.Done():
	}
	return nil
}

func (f *feed) event(raw bson.Raw) (store.Event, error) {
	var e store.Event
	switch kind, _ := raw.Lookup("operationType").StringValueOK(); kind {
	case "insert":
		e.Kind = store.Inserted
	case "update", "replace":
		e.Kind = store.Updated
	case "delete":
		e.Kind = store.Deleted
	default:
		return e, fmt.Errorf("the collection %s is gone (%s): %w", f.in.Name, kind, fault.NotFound)
	}
	e.Position, _ = raw.Lookup("_id", "_data").StringValueOK()
	e.ID, _ = raw.Lookup("documentKey", "_id").StringValueOK()
	document, ok := raw.Lookup("fullDocument").DocumentOK()
	if !ok {
		return e, nil
	}
	var err error
	e.Document, err = decode(f.in.Name, document)
	return e, err
}

func (f *feed) closeStream() {
	if f.stream == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), abortWithin)
	defer cancel()
	_ = f.stream.Close(ctx) // the server forgets what nobody reads
	f.stream = nil
}

// Next implements [store.Feed].
func (f *feed) Next(ctx context.Context) (store.Event, error) {
	select {
	case event, ok := <-f.events:
		if !ok {
			return store.Event{}, f.err
		}
		return event, nil
	case <-ctx.Done():
		return store.Event{}, fmt.Errorf("%s: nothing has happened: %w: %w", f.in.Name, fault.Unavailable, ctx.Err())
	}
}

// Close ends the feed.
func (f *feed) Close() error {
	f.cancel()
	<-f.ended
	return nil
}
