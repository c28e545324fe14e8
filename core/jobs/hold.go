package jobs

import (
	"context"
	"time"

	"github.com/onehost/edge/core/store"
)

// hold has an attempt renewed from now on, and ended when it was not for as long as this host believes in it: a tenth less than the others, because clocks
// differ a little in speed and who is told needs time to stop.
func (j *Jobs) hold(a *attempt, asked time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	a.alarm = time.AfterFunc(time.Until(asked.Add(j.believe())), func() { a.cut(errLost) })
	j.active[a.taking] = a
}

func (j *Jobs) believe() time.Duration { return j.pace.hold - j.pace.hold/10 }

// release forgets an attempt.
func (a *attempt) release() {
	a.mu.Lock()
	delete(a.active, a.taking)
	a.alarm.Stop()
	a.mu.Unlock()
	a.cut(nil)
}

// renew renews what this host holds until ctx ends.
func (j *Jobs) renew(ctx context.Context) {
	failing := false
	for wait := j.pace.beat; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		began := time.Now()
		err := j.renewOnce(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			j.log.Warn("jobs: runs were not renewed; it is tried again until others may take them", "error", err)
		}
		failing = err != nil
		if wait = max(j.pace.beat-time.Since(began), j.pace.beat/10); failing {
			wait = j.pace.beat / 4
		}
	}
}

// renewOnce renews all attempts, and ends those that are another's by now or are to stop.
func (j *Jobs) renewOnce(ctx context.Context) error {
	j.mu.Lock()
	takings := make([]any, 0, len(j.active))
	for taking := range j.active {
		takings = append(takings, taking)
	}
	j.mu.Unlock()
	if len(takings) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, j.pace.beat)
	defer cancel()
	asked, held := time.Now(), store.In{Field: "taking", Values: takings}
	if _, err := j.store.Apply(ctx, store.Update{Collection: jobsCollection, Filter: held, Change: store.Change{Set: store.Document{"until": store.Now(j.pace.hold)}}}); err != nil {
		return err
	}
	found, err := j.store.Find(ctx, store.Query{Collection: jobsCollection, Filter: held, Limit: maxRunning, Fields: []string{"taking", "stop"}})
	if err != nil {
		return err
	}
	still := make(map[any]store.Document, len(found))
	for _, d := range found {
		still[d.String("taking")] = d
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, taking := range takings {
		a := j.active[taking.(string)]
		d := still[taking]
		switch {
		case a == nil: // it has ended
		case d == nil:
			a.cut(errLost)
		case d.Bool("stop"):
			a.cut(errReplaced)
		}
		if a != nil && d != nil && a.alarm.Stop() {
			a.alarm.Reset(time.Until(asked.Add(j.believe())))
		}
	}
	return nil
}
