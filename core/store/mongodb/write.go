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

// Apply implements [store.Store]. One write of one document is done by itself, which is atomic; everything else in a transaction.
func (s *Store) Apply(ctx context.Context, writes ...store.Write) (touched []int, err error) {
	if err := store.CheckWrites(writes); err != nil {
		return nil, err
	}
	steps, err := s.steps(ctx, writes)
	if err != nil || len(steps) == 0 {
		return nil, err
	}
	err = s.run(ctx, "writing to "+steps[0].in.Name, func(ctx context.Context, client *mongo.Client) error {
		all := func(ctx context.Context) (err error) {
			touched = touched[:0]
			for _, step := range steps {
				n, err := s.carryOut(ctx, client, step)
				if err != nil {
					return err
				}
				touched = append(touched, n...)
			}
			return nil
		}
		if len(writes) == 1 && steps[0].single() {
			return all(ctx)
		}
		return s.transaction(ctx, all)
	})
	if err != nil {
		return nil, err
	}
	return touched, nil
}

// step is one command or more: documents to insert, documents to put, or one write of another kind.
type step struct {
	in      *store.Collection
	inserts []any // raw documents
	puts    []mongo.WriteModel
	update  *store.Update
	change  change
	remove  *store.Delete
}

// single reports whether the step can touch no more than one document.
func (p step) single() bool {
	switch {
	case p.update != nil:
		return isSingle(p.update.Filter, p.update.Must)
	case p.remove != nil:
		return isSingle(p.remove.Filter, p.remove.Must)
	}
	return true
}

func isSingle(f store.Filter, must int) bool {
	_, one := store.OneID(f)
	return one && must <= 1 && !hasRelated(f)
}

// steps puts inserts into one collection that follow one another into one step, and puts as well.
func (s *Store) steps(ctx context.Context, writes []store.Write) ([]step, error) {
	var steps []step
	last := func(c *store.Collection) *step { // the step before, if it is in this collection
		if n := len(steps); n > 0 && steps[n-1].in == c {
			return &steps[n-1]
		}
		return &step{}
	}
	for i, w := range writes {
		c, raw, err := s.accept(ctx, w)
		if err != nil {
			return nil, fmt.Errorf("write %d: %w", i, err)
		}
		switch w := w.(type) {
		case store.Insert:
			if before := last(c); before.inserts != nil {
				before.inserts = append(before.inserts, raw)
				continue
			}
			steps = append(steps, step{in: c, inserts: []any{raw}})
		case store.Put:
			id, _ := w.Document["id"].(string)
			put := mongo.NewReplaceOneModel().SetFilter(byID(id)).SetReplacement(raw).SetUpsert(true)
			if before := last(c); before.puts != nil {
				before.puts = append(before.puts, put)
				continue
			}
			steps = append(steps, step{in: c, puts: []mongo.WriteModel{put}})
		case store.Update:
			steps = append(steps, step{in: c, update: &w, change: newChange(*c, w.Change)})
		case store.Delete:
			steps = append(steps, step{in: c, remove: &w})
		}
	}
	return steps, nil
}

// accept returns the collection of a write, and its document, if it has one, as it is stored.
func (s *Store) accept(ctx context.Context, w store.Write) (c *store.Collection, raw bson.Raw, err error) {
	var d store.Document
	switch w := w.(type) {
	case store.Update:
		c, err = s.use(ctx, w.Collection, w.Filter)
		return c, nil, err
	case store.Delete:
		c, err = s.use(ctx, w.Collection, w.Filter)
		return c, nil, err
	case store.Insert:
		d = w.Document
		c, err = s.use(ctx, w.Collection, nil)
	case store.Put:
		d = w.Document
		c, err = s.use(ctx, w.Collection, nil)
	}
	if err != nil {
		return nil, nil, err
	}
	d, size, err := store.Normal(d)
	if err != nil {
		return nil, nil, err
	}
	return c, encode(d, size), c.Accept(d)
}

func (s *Store) carryOut(ctx context.Context, client *mongo.Client, p step) (touched []int, err error) {
	in := s.in(client, p.in)
	switch {
	case p.inserts != nil:
		if len(p.inserts) == 1 {
			_, err = in.InsertOne(ctx, p.inserts[0])
		} else {
			_, err = in.InsertMany(ctx, p.inserts)
		}
		return ones(len(p.inserts)), duplicate(p.in.Name, err)
	case p.puts != nil:
		_, err = in.BulkWrite(ctx, p.puts)
		return ones(len(p.puts)), duplicate(p.in.Name, err)
	case p.update != nil:
		n, err := s.update(ctx, in, p)
		if err == nil {
			err = must(p.in.Name, p.update.Must, n)
		}
		return []int{n}, err
	}
	n, err := s.remove(ctx, in, p)
	if err == nil {
		err = must(p.in.Name, p.remove.Must, n)
	}
	return []int{n}, err
}

func ones(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = 1
	}
	return all
}

func must(collection string, must, touched int) error {
	if must == 0 || must == touched {
		return nil
	}
	return fmt.Errorf("%s: %d documents meet the condition, and it must be %d: %w", collection, touched, must, fault.Conflict)
}

func (s *Store) update(ctx context.Context, in *mongo.Collection, p step) (touched int, err error) {
	t := s.translator(p.in)
	var result *mongo.UpdateResult
	if isSingle(p.update.Filter, p.update.Must) {
		result, err = in.UpdateOne(ctx, t.condition(p.update.Filter), p.change.stages)
	} else {
		err = s.eachPortion(ctx, in, t, p.update.Filter, func(condition bson.D) error {
			result, err = in.UpdateMany(ctx, condition, p.change.stages)
			if err == nil {
				touched += int(result.MatchedCount)
			}
			return err
		})
		return touched, p.change.failed(p.in.Name, err)
	}
	if err != nil {
		return 0, p.change.failed(p.in.Name, err)
	}
	return int(result.MatchedCount), nil
}

func (s *Store) remove(ctx context.Context, in *mongo.Collection, p step) (touched int, err error) {
	t := s.translator(p.in)
	var result *mongo.DeleteResult
	if isSingle(p.remove.Filter, p.remove.Must) {
		if result, err = in.DeleteOne(ctx, t.condition(p.remove.Filter)); err != nil {
			return 0, err
		}
		return int(result.DeletedCount), nil
	}
	err = s.eachPortion(ctx, in, t, p.remove.Filter, func(condition bson.D) error {
		result, err = in.DeleteMany(ctx, condition)
		if err == nil {
			touched += int(result.DeletedCount)
		}
		return err
	})
	return touched, err
}

// portion is how many ids one command names: 512 bytes each fit into one of 16 MB many times.
const portion = 10_000

// eachPortion gives f conditions that all documents meet which meet the filter, each one of them. MongoDB can't look at other
// collections where it writes: then the documents are found first, and named.
func (s *Store) eachPortion(ctx context.Context, in *mongo.Collection, t translator, filter store.Filter, f func(bson.D) error) error {
	if !hasRelated(filter) {
		return f(t.condition(filter))
	}
	ids, err := s.idsOf(ctx, in, t.stages(filter))
	for len(ids) > 0 && err == nil {
		n := min(portion, len(ids))
		err = f(bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids[:n]}}}})
		ids = ids[n:]
	}
	return err
}

// idsOf returns the ids of the documents that a pipeline leaves.
func (s *Store) idsOf(ctx context.Context, in *mongo.Collection, stages pipeline) ([]string, error) {
	cursor, err := in.Aggregate(ctx, append(stages, bson.D{{Key: "$project", Value: bson.D{{Key: "_id", Value: 1}}}}))
	if err != nil {
		return nil, err
	}
	defer func() { _ = cursor.Close(ctx) }() // the transaction closes it as well
	var ids []string
	for cursor.Next(ctx) {
		id, _ := cursor.Current.Lookup("_id").StringValueOK()
		ids = append(ids, id)
	}
	return ids, cursor.Err()
}

// Claim implements [store.Store].
func (s *Store) Claim(ctx context.Context, q store.Query, c store.Change) (store.Document, error) {
	if err := errors.Join(q.Check(false), c.Check()); err != nil {
		return nil, err
	}
	in, err := s.use(ctx, q.Collection, q.Filter)
	if err != nil {
		return nil, err
	}
	t, change := s.translator(in), newChange(*in, c)
	keys, computed := t.sortKeys(q.Sort)
	var claimed store.Document
	err = s.run(ctx, "claiming of "+q.Collection, func(ctx context.Context, client *mongo.Client) error {
		collection := s.in(client, in)
		if computed == nil && !hasRelated(q.Filter) {
			claimed, err = s.claim(ctx, collection, t.condition(q.Filter), keys, change)
			return err
		}
		stages := append(append(t.stages(q.Filter), computed...), bson.D{{Key: "$sort", Value: keys}}, bson.D{{Key: "$limit", Value: 1}})
		return s.transaction(ctx, func(ctx context.Context) error {
			ids, err := s.idsOf(ctx, collection, stages)
			if err == nil && len(ids) == 0 {
				err = nothingToClaim(q.Collection)
			}
			if err == nil {
				claimed, err = s.claim(ctx, collection, byID(ids[0]), nil, change)
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

func (s *Store) claim(ctx context.Context, in *mongo.Collection, condition, keys bson.D, c change) (store.Document, error) {
	o := options.FindOneAndUpdate().SetReturnDocument(options.After)
	if keys != nil {
		o.SetSort(keys)
	}
	raw, err := in.FindOneAndUpdate(ctx, condition, c.stages, o).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, nothingToClaim(in.Name())
	}
	if err != nil {
		return nil, c.failed(in.Name(), err)
	}
	return s.decode(in.Name(), raw)
}

func nothingToClaim(collection string) error {
	return fmt.Errorf("nothing in %s can be claimed: %w", collection, fault.NotFound)
}
