package sdk

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/onehost/edge/plugins/internal/proto"
)

const (
	// claimWithout is how long a Once may take whose attempt has no deadline.
	claimWithout = 5 * time.Minute
	// claimBeyond is what a claim lasts longer than the attempt's time: what it takes to say that it is done.
	claimBeyond = 5 * time.Second
)

// Once calls fn, unless it was done before under this key: in an earlier attempt, for another delivery, on another host. Choose the key so that it names what
// is done and for what, such as "receipt/" and the event's id. It is remembered for 30 days.
//
// An error of fn is Once's error, and fn may be called again. When somebody else is at it, the error is ErrBusy: return sdk.From(err), and it is tried again
// later. A process that ends in the middle has its turn until the attempt's deadline and a little longer; then another begins. Only there, between the deed and
// the note of it, may something happen twice.
func (c Context) Once(key string, fn func() error) error {
	if err := checkKey(key); err != nil {
		return err
	}
	claim := claimWithout
	if deadline, ok := c.Deadline(); ok {
		claim = max(time.Until(deadline), 0) + claimBeyond
	}
	begun, err := c.session.host.Begin(c, &proto.BeginRequest{Key: key, Claim: durationpb.New(claim)})
	switch {
	case err != nil:
		return told("once "+key, err)
	case begun.GetState() == proto.BeginResponse_DONE:
		return nil
	case begun.GetState() != proto.BeginResponse_BEGUN:
		return fmt.Errorf("once %s: %w elsewhere", key, ErrBusy)
	}
	done := false
	defer func() { c.finish(key, begun.GetTurn(), done) }() // after a panic as well: another may begin at once
	if err := fn(); err != nil {
		return err
	}
	done = true
	return nil
}

// finish notes whether it was done. The attempt's time may be over, what was done is noted nevertheless. That it can't be noted is logged and no more: what
// was done is done, and an error would only have it done again.
func (c Context) finish(key string, turn int64, done bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c), claimBeyond)
	defer cancel()
	_, err := c.session.host.Finish(ctx, &proto.FinishRequest{Key: key, Turn: turn, Done: done})
	if err != nil {
		c.log.Warn("once: what was done could not be noted, it may be done again", "key", key, "done", done, "error", told("finish", err))
	}
}
