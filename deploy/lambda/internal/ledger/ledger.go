// Package ledger remembers which submissions a function is done with, and how often something was done lately: repeats of a submission,
// of which there are some wherever delivery is at least once, do nothing a second time, and limits hold for all instances of a function together.
//
// Both are decided by one write of the database each. In come ids and keys of any text; what is stored of them is a hash.
package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/onehost/edge/deploy/lambda/internal/database"
)

// State is what is known of a submission.
type State int

// The states.
const (
	Fresh State = iota // nobody saw it: it is the caller's now
	Again              // somebody who did not come to its end had it: it is the caller's now, and may have been done in part
	Busy               // somebody is at it at this moment
	Over               // it is done with
)

// A Limit is how often something may be done.
type Limit struct {
	Key    string        // of what is counted
	Most   int           // times
	Within time.Duration // before each moment; or if it is Fixed, from each multiple of Within to the next
	Fixed  bool          // cheaper, for great numbers
}

// Ledger is the ledger of one function. It can be used by several goroutines at once.
type Ledger struct{ engine engine }

// engine is how the ledger is kept. Ids and keys come as hashes, times in whole milliseconds.
type engine interface {
	begin(ctx context.Context, id string, now, until, expires time.Time) (State, error)
	end(ctx context.Context, id string) error
	drop(ctx context.Context, id string) error
	take(ctx context.Context, limit Limit, now time.Time) (bool, error)
	give(ctx context.Context, limit Limit, at time.Time) error
}

const (
	keep  = 30 * 24 * time.Hour // a submission: longer than anybody delivers it again
	lease = 2 * time.Minute     // of a submission that has no deadline
	spare = 5 * time.Second     // after a deadline: clocks of hosts differ
)

// New returns the ledger that is kept under a name, that of the function, in its database.
func New(db *database.Database, name string) *Ledger {
	if db.Mongo != nil {
		return &Ledger{newMongo(db.Mongo, name)}
	}
	return &Ledger{newSQLite(db.SQLite, name)}
}

// Begin asks for a submission. Fresh and Again give it to the caller alone, until shortly after the deadline of ctx: then End or Drop has to follow.
func (l *Ledger) Begin(ctx context.Context, id string, now time.Time) (State, error) {
	now = now.Truncate(time.Millisecond)
	until := now.Add(lease)
	if deadline, ok := ctx.Deadline(); ok {
		until = now.Add(time.Until(deadline) + spare)
	}
	return l.engine.begin(ctx, hash(id), now, until.Truncate(time.Millisecond), now.Add(keep))
}

// End says that a submission is done with.
func (l *Ledger) End(ctx context.Context, id string) error { return l.engine.end(ctx, hash(id)) }

// Drop says that a submission was not done: it is Fresh for who asks next.
func (l *Ledger) Drop(ctx context.Context, id string) error {
	ctx, cancel := lasting(ctx)
	defer cancel()
	return l.engine.drop(ctx, hash(id))
}

// Taken is what was taken of limits.
type Taken struct {
	ledger *Ledger
	limits []Limit
	at     time.Time
}

// Take counts one more for all limits, or if one of them is reached, for none: then it is returned, and Taken is nil.
func (l *Ledger) Take(ctx context.Context, now time.Time, limits ...Limit) (*Taken, *Limit, error) {
	taken := &Taken{ledger: l, at: now.Truncate(time.Millisecond)}
	for _, limit := range limits {
		hashed := limit
		hashed.Key = hash(limit.Key) + "/" + limit.Within.String()
		ok, err := l.engine.take(ctx, hashed, taken.at)
		if err != nil || !ok {
			err = errors.Join(err, taken.Give(ctx))
			return nil, &limit, err
		}
		taken.limits = append(taken.limits, hashed)
	}
	return taken, nil, nil
}

// Give gives back what was taken, for something that was not done in the end.
func (t *Taken) Give(ctx context.Context) error {
	ctx, cancel := lasting(ctx)
	defer cancel()
	var all error
	for _, limit := range t.limits {
		all = errors.Join(all, t.ledger.engine.give(ctx, limit, t.at))
	}
	t.limits = nil
	return all
}

// lasting is for undoing, which has to be done most of all when the deadline has passed.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), time.Second)
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}
