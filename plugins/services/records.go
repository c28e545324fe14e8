package services

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

const (
	keys  = "plugin_keys" // collection of values
	dones = "plugin_once" // collection of what is done once

	maxKey     = 256       // bytes
	maxValue   = 64 << 10  // bytes, of a result as well
	maxKeys    = 100_000   // of a plugin
	maxDones   = 1_000_000 // of a plugin
	maxKeep    = 10 * 365 * 24 * time.Hour
	attempts   = 5                // when others change the same at the same time
	countEvery = 10 * time.Second // how long the number of a plugin's records is taken to have changed by what is kept here alone
)

// Collections describes where the records of plugins are kept, for [store.Store.Ensure]. A document of a value has the plugin, the value, its version and when it expires; one of
// what is done once has the plugin, the turn, until when that is claimed, and then that it is done, the result and when that is forgotten. The id is the plugin's name and the key.
func Collections() []store.Collection {
	described := func(name string) store.Collection {
		return store.Collection{Name: name, Indexes: []store.Index{{Fields: []string{"plugin"}}}, Expire: "expires", Private: true}
	}
	return []store.Collection{described(keys), described(dones)}
}

// records are what plugins have kept.
type records struct {
	store   store.Store
	ensured atomic.Bool

	mu    sync.Mutex
	rooms map[roomOf]*room
}

// roomOf says of which records a room is.
type roomOf struct{ collection, plugin string }

// room knows how many records a plugin has, as far as that is needed to refuse more than it may have.
type room struct {
	n    int
	read time.Time // when n was counted
}

func newRecords(s store.Store) *records {
	return &records{store: s, rooms: make(map[roomOf]*room)}
}

// ensure has the collections be there.
func (r *records) ensure(ctx context.Context) error {
	if r.ensured.Load() {
		return nil
	}
	err := r.store.Ensure(ctx, Collections()...)
	if err == nil {
		r.ensured.Store(true)
	}
	return err
}

// id is the id of a plugin's record. No plugin's name has a slash, and no key can be taken for another plugin's.
func id(plugin, key string) (string, error) {
	if key == "" || len(key) > maxKey {
		return "", fmt.Errorf("a key has 1 to %d bytes, and this one %d: %w", maxKey, len(key), fault.Invalid)
	}
	return plugin + "/" + key, nil
}

func checkValue(what string, value []byte) error {
	if len(value) > maxValue {
		return fmt.Errorf("a %s has %d bytes at most, and this one %d: %w", what, maxValue, len(value), fault.Invalid)
	}
	return nil
}

// live holds for the record of an id that has not expired. The store removes it some time after it has.
func live(id string) store.And {
	return store.And{store.ID(id), store.Or{store.Null("expires"), store.Gt("expires", store.Now(0))}}
}

// expired holds for the record of an id that is as good as gone.
func expired(id string) store.And {
	return store.And{store.ID(id), store.Lte("expires", store.Now(0))}
}

// add adds a record that is not there, by the store's clock. It is a conflict when it is there, and too_many when the plugin has as many as it may.
func (r *records) add(ctx context.Context, collection, plugin, id string, most int, set store.Document) error {
	n, err := r.count(ctx, roomOf{collection, plugin})
	if err != nil {
		return err
	}
	if n >= most {
		return fmt.Errorf("the plugin has %d keys already, which is as many as it may: delete some, or keep them for a shorter time: %w", n, fault.TooMany)
	}
	_, err = r.store.Apply(ctx,
		store.Delete{Collection: collection, Filter: expired(id)},
		store.Insert{Collection: collection, Document: store.Document{"id": id, "plugin": plugin}},
		store.Update{Collection: collection, Filter: store.ID(id), Change: store.Change{Set: set}, Must: 1})
	if err == nil {
		r.grow(roomOf{collection, plugin})
	}
	return err
}

// count returns how many records a plugin has, more or less.
func (r *records) count(ctx context.Context, of roomOf) (int, error) {
	r.mu.Lock()
	known := r.rooms[of]
	if known != nil && time.Since(known.read) < countEvery {
		defer r.mu.Unlock()
		return known.n, nil
	}
	r.mu.Unlock()
	n, err := r.store.Count(ctx, of.collection, store.Eq("plugin", of.plugin))
	if err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rooms[of] = &room{n, time.Now()}
	return n, nil
}

func (r *records) grow(of roomOf) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.rooms[of]; known != nil {
		known.n++
	}
}
