package services

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/plugins/internal/proto"
)

const (
	defaultClaim    = 15 * time.Minute // as long as a handler may take
	maxClaim        = 24 * time.Hour
	defaultRemember = 30 * 24 * time.Hour
)

// Begin has the caller do what belongs to a key, if nobody has done it and nobody is at it.
//
// A claim that has run out is taken over by whoever begins next, and has the next turn: Finish of the turn before comes too late then. All times are the store's.
func (p *process) Begin(ctx context.Context, r *proto.BeginRequest) (*proto.BeginResponse, error) {
	id, err := p.id(ctx, r.GetKey())
	if err != nil {
		return nil, err
	}
	claim := defaultClaim
	if r.GetClaim() != nil {
		if claim, err = within("claim", r.GetClaim(), maxClaim); err != nil {
			return nil, err
		}
	}
	turn := first()
	set := store.Document{"turn": turn, "until": store.Now(claim), "expires": store.Now(defaultRemember)}
	err = p.services.records.add(ctx, dones, p.plugin, id, maxDones, set)
	if errors.Is(err, fault.Conflict) {
		return p.beginAgain(ctx, id, claim)
	}
	if err != nil {
		return nil, err
	}
	return &proto.BeginResponse{State: proto.BeginResponse_BEGUN, Turn: turn}, nil
}

// beginAgain begins what somebody has begun before.
func (p *process) beginAgain(ctx context.Context, id string, claim time.Duration) (*proto.BeginResponse, error) {
	over := append(live(id), store.Null("done"), store.Lte("until", store.Now(0)))
	d, err := p.services.records.store.Claim(ctx, store.Query{Collection: dones, Filter: over}, store.Change{
		Set: store.Document{"until": store.Now(claim), "expires": store.Now(defaultRemember)}, Add: map[string]int64{"turn": 1},
	})
	if err == nil {
		return &proto.BeginResponse{State: proto.BeginResponse_BEGUN, Turn: d.Int("turn")}, nil
	}
	if !errors.Is(err, fault.NotFound) {
		return nil, err
	}
	d, err = p.services.records.find(ctx, dones, id)
	switch {
	case err != nil:
		return nil, err
	case d.Bool("done"):
		return &proto.BeginResponse{State: proto.BeginResponse_DONE, Result: d.Bytes("result")}, nil
	}
	return &proto.BeginResponse{State: proto.BeginResponse_BUSY}, nil // or given up at this moment: the next to ask begins
}

// Finish says what came of what Begin has begun. It is aborted when somebody else has begun since, because the claim had run out. Saying it again changes nothing.
func (p *process) Finish(ctx context.Context, r *proto.FinishRequest) (*proto.FinishResponse, error) {
	id, err := p.id(ctx, r.GetKey())
	if err != nil {
		return nil, err
	}
	if err := checkValue("result", r.GetResult()); err != nil {
		return nil, err
	}
	remember := defaultRemember
	if r.GetKeep() != nil {
		if remember, err = within("keep", r.GetKeep(), maxKeep); err != nil {
			return nil, err
		}
	}
	mine := store.And{store.ID(id), store.Eq("turn", r.GetTurn()), store.Null("done")}
	if !r.GetDone() {
		_, err = p.services.records.store.Apply(ctx, store.Delete{Collection: dones, Filter: mine})
		return &proto.FinishResponse{}, err
	}
	set := store.Document{"done": true, "result": r.GetResult(), "expires": store.Now(remember)}
	_, err = p.services.records.store.Apply(ctx, store.Update{Collection: dones, Filter: mine, Change: store.Change{Set: set, Unset: []string{"until"}}, Must: 1})
	if errors.Is(err, fault.Conflict) {
		err = p.finished(ctx, id, r)
	}
	return &proto.FinishResponse{}, err
}

// finished returns nil when this turn was finished before: its answer was lost.
func (p *process) finished(ctx context.Context, id string, r *proto.FinishRequest) error {
	d, err := p.services.records.find(ctx, dones, id)
	if err != nil || d.Bool("done") && d.Int("turn") == r.GetTurn() {
		return err
	}
	return fmt.Errorf("the claim on %q had run out, and another has begun since or it is forgotten: ask for a longer claim: %w", r.GetKey(), fault.Conflict)
}
