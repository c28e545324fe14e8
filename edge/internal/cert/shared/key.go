package shared

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

const (
	keys    = "keys"  // the collection of keys that hosts make when none is configured
	storeID = "store" // the document on the key of this store: the key itself if it was made, and what only that key opens
	proofOf = "this is the key"
)

// keyError says that the key of this host is not the one that the store's values are sealed with.
type keyError struct{ reason string }

func (e *keyError) Error() string {
	return "certificates are not shared, this host's files serve on: " + e.reason
}

var (
	errWrongKey = &keyError{"store.key does not open what is in the store. Set it to the key that the other hosts have. If that is lost, or a new one is meant: " +
		"set the new one on all hosts and restart them first; they serve from their files. Then remove what the old one has sealed, and within a minute the hosts bring their files anew: " +
		mongosh(certificates+".deleteMany({})", challenges+".deleteMany({})", keys+".deleteMany({})")}
	errNoKey = &keyError{"what is in the store is sealed with a key that this host has not: set store.key to the one that the other hosts have"}
)

// mongosh is the command that does something in the private collections, for who may write there.
func mongosh(does ...string) string {
	return `mongosh "THE URI OF THE STORE" --eval 'p = db.getSiblingDB(db.getName() + "_private"); p.` + strings.Join(does, "; p.") + `'`
}

// settle finds the key that values are sealed with, unless that is done. All that is said of it is said once.
func (s *Storage) settle(ctx context.Context) error {
	found, err := s.findKey(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.settled
	s.settled = err
	switch wrong := (*keyError)(nil); {
	case err == nil:
		s.seal, s.proven = found, s.key != nil
	case errors.As(err, &wrong):
		s.seal = nil
		if before == nil || before.Error() != err.Error() {
			s.log.Error(err.Error())
		}
	}
	return err
}

// findKey returns the seal of the key that is configured, of the one that was made, or of one that it makes.
func (s *Storage) findKey(ctx context.Context) (*seal, error) {
	for {
		d, err := s.store.Get(ctx, keys, storeID)
		switch {
		case errors.Is(err, fault.NotFound):
			err = s.beginKeys(ctx)
			if errors.Is(err, fault.Conflict) || err == nil {
				continue // with what is there now
			}
			return nil, err
		case err != nil:
			return nil, err
		case s.key == nil:
			return s.madeKey(d)
		}
		return s.configuredKey(ctx, d)
	}
}

// beginKeys writes down what the first host seals with.
func (s *Storage) beginKeys(ctx context.Context) error {
	d := store.Document{"id": storeID}
	key := s.key
	if key == nil {
		key = make([]byte, KeySize)
		rand.Read(key) // never fails
		d["key"] = key
	}
	own, err := newSeal(key)
	if err != nil {
		return err
	}
	d["proof"] = own.close(keys, storeID, []byte(proofOf))
	_, err = s.store.Apply(ctx, store.Insert{Collection: keys, Document: d})
	return err
}

// madeKey is for a host without a key of its own.
func (s *Storage) madeKey(d store.Document) (*seal, error) {
	made, err := newSeal(d.Bytes("key"))
	if err != nil || !made.proven(d) {
		return nil, errNoKey
	}
	s.mu.Lock()
	known := s.seal != nil
	s.mu.Unlock()
	if !known {
		s.log.Warn("no store.key is configured: the key that seals private keys in the database is in the database itself, so whoever has a dump of it can open them. " +
			"Set store.key to the same secret on all hosts (openssl rand -base64 32), and restart them one after the other")
	}
	return made, nil
}

func (s *seal) proven(d store.Document) bool {
	proof, err := s.open(keys, storeID, d.Bytes("proof"))
	return err == nil && string(proof) == proofOf
}

// configuredKey is for a host that has a key. Where one was made before, everything is sealed anew with the one that is configured now,
// and the one that was made is removed.
func (s *Storage) configuredKey(ctx context.Context, d store.Document) (*seal, error) {
	own, err := newSeal(s.key)
	if err != nil {
		return nil, fmt.Errorf("store.key: %w", err)
	}
	made := d.Bytes("key")
	switch {
	case own.proven(d) && made == nil:
		return own, nil
	case made == nil:
		return nil, errWrongKey
	case s.provenBefore() && !own.proven(d): // no host makes a key where there is one: who put it there wants us to believe what it seals
		return nil, errWrongKey
	case !bytes.Equal(made, s.key):
		before, err := newSeal(made)
		if err != nil || !before.proven(d) {
			return nil, errWrongKey
		}
		if err := s.sealAnew(ctx, before, own); err != nil {
			return nil, err
		}
	}
	change := store.Change{Unset: []string{"key"}, Set: store.Document{"proof": own.close(keys, storeID, []byte(proofOf))}}
	same := store.And{store.ID(storeID), store.Eq("proof", d.Bytes("proof"))}
	if _, err := s.store.Apply(ctx, store.Update{Collection: keys, Filter: same, Change: change, Must: 1}); err != nil {
		return nil, err
	}
	s.log.Info("what hosts share is sealed with store.key now")
	return own, nil
}

// provenBefore reports whether this process has found the store sealed with its key.
func (s *Storage) provenBefore() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proven
}

// sealAnew replaces the seal of all that opens with the one before. A host that is killed in the middle goes on when it is started.
func (s *Storage) sealAnew(ctx context.Context, before, now *seal) error {
	for _, collection := range []string{certificates, challenges} {
		var last string
		for {
			found, err := s.store.Find(ctx, store.Query{Collection: collection, Filter: store.Gt("id", last), Sort: []store.Order{{Field: "id"}}, Limit: portion, Fields: []string{"sealed"}})
			if err != nil {
				return err
			}
			var writes []store.Write
			for _, d := range found {
				last = d.ID()
				value, err := before.open(collection, last, d.Bytes("sealed"))
				if err != nil {
					continue // done already, or damaged, which is said when it is wanted
				}
				writes = append(writes, store.Update{
					Collection: collection, Filter: store.And{store.ID(last), store.Eq("sealed", d.Bytes("sealed"))},
					Change: store.Change{Set: store.Document{"sealed": now.close(collection, last, value)}},
				})
			}
			if _, err := s.store.Apply(ctx, writes...); err != nil && len(writes) > 0 {
				return err
			}
			if len(found) < portion {
				break
			}
		}
	}
	return nil
}
