package services

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/plugins/internal/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Get returns the value of a key.
func (p *process) Get(ctx context.Context, r *proto.GetRequest) (*proto.GetResponse, error) {
	id, err := p.id(ctx, r.GetKey())
	if err != nil {
		return nil, err
	}
	found, err := p.services.records.find(ctx, keys, id)
	if err != nil || found == nil {
		return &proto.GetResponse{}, err
	}
	return &proto.GetResponse{Found: true, Value: found.Bytes("value"), Version: found.Int("version")}, nil
}

// Put sets the value of a key.
func (p *process) Put(ctx context.Context, r *proto.PutRequest) (*proto.PutResponse, error) {
	id, err := p.id(ctx, r.GetKey())
	if err != nil {
		return nil, err
	}
	if err := checkValue("value", r.GetValue()); err != nil {
		return nil, err
	}
	set := store.Document{"value": r.GetValue(), "expires": nil}
	if r.GetKeep() != nil {
		keep, err := within("keep", r.GetKeep(), maxKeep)
		if err != nil {
			return nil, err
		}
		set["expires"] = store.Now(keep)
	}
	var version int64
	switch {
	case r.IfVersion == nil:
		version, err = p.put(ctx, id, set)
	case r.GetIfVersion() == 0:
		version, err = p.putNew(ctx, id, set)
	default:
		version, err = p.change(ctx, append(live(id), store.Eq("version", r.GetIfVersion())), set)
	}
	if errors.Is(err, fault.NotFound) || errors.Is(err, fault.Conflict) {
		return nil, fmt.Errorf("the key %q has another version by now: read it again: %w", r.GetKey(), fault.Conflict)
	}
	if err != nil {
		return nil, err
	}
	return &proto.PutResponse{Version: version}, nil
}

// put sets a value, whatever there is.
func (p *process) put(ctx context.Context, id string, set store.Document) (version int64, err error) {
	for range attempts {
		if version, err = p.change(ctx, live(id), set); !errors.Is(err, fault.NotFound) {
			return version, err
		}
		if version, err = p.putNew(ctx, id, set); !errors.Is(err, fault.Conflict) {
			return version, err
		}
	}
	return 0, fmt.Errorf("others always put and delete it at the same time: %w", fault.Unavailable)
}

// change sets the value of the record that meets a condition; not_found if there is none.
func (p *process) change(ctx context.Context, f store.Filter, set store.Document) (version int64, err error) {
	d, err := p.services.records.store.Claim(ctx, store.Query{Collection: keys, Filter: f}, store.Change{Set: set, Add: map[string]int64{"version": 1}})
	return d.Int("version"), err
}

// putNew sets the value of a key that has none; conflict if it has one.
func (p *process) putNew(ctx context.Context, id string, set store.Document) (version int64, err error) {
	set["version"] = first()
	err = p.services.records.add(ctx, keys, p.plugin, id, maxKeys, set)
	version, _ = set["version"].(int64)
	delete(set, "version")
	return version, err
}

// Delete removes a key, if it is there.
func (p *process) Delete(ctx context.Context, r *proto.DeleteRequest) (*proto.DeleteResponse, error) {
	id, err := p.id(ctx, r.GetKey())
	if err != nil {
		return nil, err
	}
	_, err = p.services.records.store.Apply(ctx, store.Delete{Collection: keys, Filter: store.ID(id)})
	return &proto.DeleteResponse{}, err
}

// id is the id of the plugin's record of a key, in collections that are there.
func (p *process) id(ctx context.Context, key string) (string, error) {
	id, err := id(p.plugin, key)
	if err != nil {
		return "", err
	}
	return id, p.services.records.ensure(ctx)
}

// find returns the record of an id, nil if there is none.
func (r *records) find(ctx context.Context, collection, id string) (store.Document, error) {
	found, err := r.store.Find(ctx, store.Query{Collection: collection, Filter: live(id), Limit: 1})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// first is the first of the numbers that a new record counts with. It is none that an earlier record of the same key is likely to have had, so that whoever knows
// only that one's is found out. All languages have whole numbers of this size.
func first() int64 { return 1 + rand.Int64N(1<<52) }

// within is a time that a plugin asks for.
func within(name string, d *durationpb.Duration, most time.Duration) (time.Duration, error) {
	if err := d.CheckValid(); err != nil || d.AsDuration() <= 0 || d.AsDuration() > most {
		return 0, fmt.Errorf("%s is more than nothing and %v at most: %w", name, most, fault.Invalid)
	}
	return d.AsDuration(), nil
}
