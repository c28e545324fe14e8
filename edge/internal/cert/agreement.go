package cert

import (
	"context"
	"errors"
	"time"

	"github.com/onehost/edge/core/fault"
)

const (
	// agreeInterval is how often it is seen whether what hosts agree on is due to be changed, and what failed is tried again.
	// One timer for the whole day would stand still while the machine sleeps, and not notice a clock that is set.
	agreeInterval = time.Hour
	agreeAttempts = 5
	agreeTimeout  = 5 * time.Second
)

// agreement has hosts have one value in common. Each has its copy, and goes on with it while the store is away; what one of them changes
// the others take up at once.
type agreement struct {
	shared sharedValue   // nil: nobody else has it
	soon   chan struct{} // by agreeSoon
	heard  chan struct{} // by hear
}

// sharedValue is the one document that hosts have (shared.Value). Read decodes what is there, if anything is, and says which version it
// is; Swap is a conflict when there is another version by now.
type sharedValue interface {
	Read(ctx context.Context, decode func(value []byte) error) (version string, err error)
	Swap(ctx context.Context, version string, value []byte) error
}

func newAgreement() agreement {
	return agreement{soon: make(chan struct{}, 1), heard: make(chan struct{}, 1)}
}

// hear has what another host has changed taken up.
func (a *agreement) hear() { signal(a.heard) }

// agreeSoon has what this host has and what the others have brought together.
func (a *agreement) agreeSoon() { signal(a.soon) }

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run calls agree at once and now and then, and takeUp when another host has changed something, until ctx is done. Only agree may write
// to the store: hosts whose clocks differ by days would answer one another without end.
func (a *agreement) run(ctx context.Context, agree, takeUp func(context.Context)) {
	tick := time.NewTicker(agreeInterval)
	defer tick.Stop()
	agree(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			agree(ctx)
		case <-a.soon:
			agree(ctx)
		case <-a.heard:
			within(ctx, takeUp)
		}
	}
}

func within(ctx context.Context, do func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, agreeTimeout)
	defer cancel()
	do(ctx)
}

// attempt has once read and swap the value, again when another host was faster.
func (a *agreement) attempt(ctx context.Context, once func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, agreeTimeout)
	defer cancel()
	err := errors.New("others are always faster")
	for range agreeAttempts {
		if err = once(ctx); !errors.Is(err, fault.Conflict) {
			break
		}
	}
	return err
}
