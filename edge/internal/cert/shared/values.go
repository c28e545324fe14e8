package shared

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// Ids of the values that there is one of.
const (
	Tickets = "tickets"  // session ticket keys
	LocalCA = "local-ca" // the root of the local CA, with its key
)

func isValue(id string) bool { return id == Tickets || id == LocalCA }

// Value is one document that hosts have in common, and change one after the other.
type Value struct {
	storage *Storage
	id      string
}

// Value returns the one with that id: Tickets or LocalCA.
func (s *Storage) Value(id string) *Value { return &Value{s, id} }

// Read has decode look at what the hosts have written with Swap, and returns which version it is: "" when that is nothing. What
// can't be opened, or decode can't use, is told by Problem.
func (v *Value) Read(ctx context.Context, decode func(value []byte) error) (version string, err error) {
	s := v.storage
	by, err := s.reach(ctx)
	if err != nil {
		return "", err
	}
	d, err := s.store.Get(ctx, certificates, v.id)
	if errors.Is(err, fault.NotFound) {
		s.noteOpened(v.id, nil)
		return "", nil
	}
	if err != nil {
		return "", s.heard(err)
	}
	value, err := by.open(certificates, v.id, d.Bytes("sealed"))
	if err == nil {
		err = decode(value)
	}
	s.noteOpened(v.id, err)
	return d.String("digest"), err
}

// Swap puts value in place of that version. It is a conflict that there is another one now.
func (v *Value) Swap(ctx context.Context, version string, value []byte) error {
	s := v.storage
	by, err := s.sealer()
	if err != nil {
		return err
	}
	if len(value) > maxEntry {
		return fmt.Errorf("%s: %d KiB; at most %d are shared", v.id, len(value)>>10, maxEntry>>10)
	}
	sealed := by.close(certificates, v.id, value)
	sum := sha256.Sum256(sealed)
	d := store.Document{"digest": hex.EncodeToString(sum[:]), "sealed": sealed}
	var write store.Write = store.Update{
		Collection: certificates, Filter: store.And{store.ID(v.id), store.Eq("digest", version)}, Change: store.Change{Set: d}, Must: 1,
	}
	if version == "" {
		d["id"] = v.id
		write = store.Insert{Collection: certificates, Document: d}
	}
	_, err = s.store.Apply(ctx, write)
	return s.heard(err)
}

// Answer is what answers a challenge.
type Answer struct {
	ID    string // by which it is asked for
	Value []byte
}

// answerLife is how long answers to challenges are kept at most: longer than an order may take. Who puts one there removes it.
const answerLife = 15 * time.Minute

// PutAnswer has all hosts find an answer until it is removed.
func (s *Storage) PutAnswer(ctx context.Context, a Answer) error {
	by, err := s.sealer()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err = s.store.Apply(ctx,
		store.Put{Collection: challenges, Document: store.Document{"id": a.ID, "sealed": by.close(challenges, a.ID, a.Value)}},
		store.Update{Collection: challenges, Filter: store.ID(a.ID), Change: store.Change{Set: store.Document{"expires": store.Now(answerLife)}}})
	return err
}

// RemoveAnswer removes an answer if it is still that one.
func (s *Storage) RemoveAnswer(ctx context.Context, a Answer) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	d, err := s.store.Get(ctx, challenges, a.ID)
	if err != nil {
		return err
	}
	by, err := s.sealer()
	if err != nil {
		return err
	}
	if value, err := by.open(challenges, a.ID, d.Bytes("sealed")); err != nil || string(value) != string(a.Value) {
		return err // another host's, which has the name under way, too
	}
	_, err = s.store.Apply(ctx, store.Delete{Collection: challenges, Filter: store.And{store.ID(a.ID), store.Eq("sealed", d.Bytes("sealed"))}})
	return err
}

// Answers returns those of the answers with these ids that there are, by id.
func (s *Storage) Answers(ctx context.Context, ids []string) (map[string][]byte, error) {
	by, err := s.sealer()
	if err != nil {
		return nil, err
	}
	values := make([]any, len(ids))
	for i, id := range ids {
		values[i] = id
	}
	found, err := s.store.Find(ctx, store.Query{
		Collection: challenges, Filter: store.And{store.In{Field: "id", Values: values}, store.Gt("expires", store.Now(0))}, Limit: len(ids),
	})
	if err != nil {
		return nil, err
	}
	answers := make(map[string][]byte, len(found))
	for _, d := range found {
		if value, err := by.open(challenges, d.ID(), d.Bytes("sealed")); err == nil {
			answers[d.ID()] = value
		}
	}
	return answers, nil
}
