package front

import (
	"context"
	"sync/atomic"
	"time"
)

// A patience has a connection wait before its next request when its client, told to come later, comes at once and again. A flood over
// connections that stay costs as much as the answers that refuse it, and they wait in line with everybody else's; so who floods gets
// fewer of them: after the second refusal in a row 10 ms pass, after each further one twice as long, up to a second, which is
// the least that a Retry-After can say. What he sends meanwhile stays in his kernel and in ours.
//
// On h2 and h3 it is the refused stream that lasts so long, and Limits.Streams bounds how many there are.
type patience struct{ refused atomic.Int32 }

const (
	firstRest = 10 * time.Millisecond
	lastRest  = time.Second
	mostRests = 9 // refusals that count
)

// rest waits as long as this exchange's end asks for, and reports whether ctx is still good.
func (p *patience) rest(ctx context.Context, refused bool) bool {
	d := p.next(refused)
	if d == 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// next counts. One exchange that went well makes up for one that was refused.
func (p *patience) next(refused bool) time.Duration {
	n := p.refused.Load()
	switch {
	case !refused && n == 0:
		return 0
	case !refused:
		p.refused.Store(n - 1)
		return 0
	}
	n = min(n+1, mostRests)
	p.refused.Store(n) // two at a time may count as one
	if n < 2 {
		return 0
	}
	return min(firstRest<<(n-2), lastRest)
}
