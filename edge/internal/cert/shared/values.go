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

// Tickets is the id of the one document that holds session ticket keys.
const Tickets = "tickets"

// ReadTickets returns what the hosts have written with SwapTickets, and which version it is: nil and "" when that is nothing.
func (s *Storage) ReadTickets(ctx context.Context) (value []byte, version string, err error) {
	by, err := s.sealer()
	if err != nil {
		return nil, "", err
	}
	d, err := s.store.Get(ctx, certificates, Tickets)
	none := errors.Is(err, fault.NotFound)
	if err != nil && !none {
		return nil, "", s.heard(err)
	}
	if !none {
		value, err = by.open(certificates, Tickets, d.Bytes("sealed"))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && !none {
		s.shut(Tickets, err)
		return nil, "", fmt.Errorf("session ticket keys: %w", err)
	}
	delete(s.unopened, Tickets)
	return value, d.String("digest"), nil
}

// SwapTickets puts value in place of that version. It is a conflict that there is another one now.
func (s *Storage) SwapTickets(ctx context.Context, version string, value []byte) error {
	by, err := s.sealer()
	if err != nil {
		return err
	}
	sealed := by.close(certificates, Tickets, value)
	sum := sha256.Sum256(sealed)
	d := store.Document{"digest": hex.EncodeToString(sum[:]), "sealed": sealed}
	var write store.Write = store.Update{
		Collection: certificates, Filter: store.And{store.ID(Tickets), store.Eq("digest", version)}, Change: store.Change{Set: d}, Must: 1,
	}
	if version == "" {
		d["id"] = Tickets
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
