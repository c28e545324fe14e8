package sdk

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/onehost/edge/plugins/internal/proto"
)

// KV is a plugin's own small durable store: what it has to remember from one delivery to the next. All its processes on all hosts share it, no other plugin
// sees it. Keys are text of 1 to 256 bytes, values have 64 KiB at most. What is put is on disk when Put returns.
type KV struct {
	ctx  Context
	host proto.HostClient
}

// Entry is a value and its version, which changes with each Put.
type Entry struct {
	Value   []byte
	Version int64
}

// Get is what was put under key; ErrNotFound when there is nothing.
func (kv KV) Get(key string) (Entry, error) {
	if err := checkKey(key); err != nil {
		return Entry{}, err
	}
	got, err := kv.host.Get(kv.ctx, &proto.GetRequest{Key: key})
	if err != nil {
		return Entry{}, told("get "+key, err)
	}
	if !got.GetFound() {
		return Entry{}, fmt.Errorf("get %s: %w", key, ErrNotFound)
	}
	return Entry{Value: got.GetValue(), Version: got.GetVersion()}, nil
}

// Put puts value under key, whatever was there. It is removed after ttl; 0: never.
func (kv KV) Put(key string, value []byte, ttl time.Duration) error {
	_, err := kv.put(&proto.PutRequest{Key: key, Value: value}, ttl)
	return err
}

// Swap puts value under key only when what is there still has that version (Entry.Version; 0: when there is nothing), else the error is ErrConflict. It
// returns the new version. It is removed after ttl; 0: never.
func (kv KV) Swap(key string, value []byte, version int64, ttl time.Duration) (int64, error) {
	return kv.put(&proto.PutRequest{Key: key, Value: value, IfVersion: &version}, ttl)
}

// Update puts what change makes of the value under key, which is nil when there is none. When somebody else changes it meanwhile, change is called again,
// with what they have made of it: so two handlers that count never lose a count. It ends with change's error, if it has one, and puts nothing then.
func (kv KV) Update(key string, ttl time.Duration, change func(old []byte) ([]byte, error)) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		entry, err := kv.Get(key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		value, err := change(entry.Value)
		if err != nil {
			return err
		}
		if _, err = kv.Swap(key, value, entry.Version, ttl); !errors.Is(err, ErrConflict) {
			return err
		}
		select {
		case <-kv.ctx.Done():
			return fmt.Errorf("update %s: others changed it all the time: %w", key, kv.ctx.Err())
		case <-time.After(rand.N(pause) + 1): // those who collided are to part
		}
	}
}

// Delete removes what is under key; nil too when there is nothing.
func (kv KV) Delete(key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	_, err := kv.host.Delete(kv.ctx, &proto.DeleteRequest{Key: key})
	return told("delete "+key, err)
}

// put puts, and returns the new version.
func (kv KV) put(request *proto.PutRequest, ttl time.Duration) (int64, error) {
	if err := checkKey(request.GetKey()); err != nil {
		return 0, err
	}
	if n := len(request.GetValue()); n > maxValue {
		return 0, fmt.Errorf("put %s: %w: the value has %d bytes, %d are allowed", request.GetKey(), ErrInvalid, n, maxValue)
	}
	if ttl > 0 {
		request.Keep = durationpb.New(ttl)
	}
	done, err := kv.host.Put(kv.ctx, request)
	return done.GetVersion(), told("put "+request.GetKey(), err)
}

// What edge takes at most. What is more would not even reach it, and could not be told from what may work later.
const (
	maxKey   = 256       // bytes
	maxValue = 64 << 10  // bytes
	maxMail  = 900 << 10 // bytes of all that a mail has
)

// checkKey refuses what can be no key, of KV or of Once.
func checkKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: the key is empty", ErrInvalid)
	case len(key) > maxKey:
		return fmt.Errorf("%w: the key %.40q… has %d bytes, %d are allowed", ErrInvalid, key, len(key), maxKey)
	case !utf8.ValidString(key):
		return fmt.Errorf("%w: the key %q is no UTF-8 text", ErrInvalid, key)
	}
	return nil
}
