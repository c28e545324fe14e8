package submissions

import (
	"context"
	"sync"
	"time"
)

const (
	drain       = 15 * time.Second // what is under way when Run has to end may take this long
	ensureAgain = 5 * time.Second
)

// Run delivers until ctx ends; then it waits for what is under way, 25 seconds at most. A delivery that was cut off is not counted as failed, and due again at
// once. That the store or a function is away ends nothing. Without Run, submissions are kept and wait.
func (s *Submissions) Run(ctx context.Context) error {
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var lines sync.WaitGroup
	defer lines.Wait()
	if !s.awaitStore(ctx) {
		return nil
	}
	running := make(map[string]func())
	for ctx.Err() == nil {
		s.arrange(ctx, work, running, &lines)
		select {
		case <-ctx.Done():
		case <-s.changed:
		}
	}
	late := time.AfterFunc(drain, cut)
	lines.Wait()
	late.Stop()
	return nil
}

// awaitStore waits for the store; it reports false when ctx ended before.
func (s *Submissions) awaitStore(ctx context.Context) bool {
	for failing := false; ; failing = true {
		err := s.ensure(ctx)
		if err == nil || ctx.Err() != nil {
			return ctx.Err() == nil
		}
		if !failing {
			s.log.Error("forms: the store does not take submissions; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(ensureAgain):
		}
	}
}

// arrange has a line run for each form that has a function, and no other.
func (s *Submissions) arrange(ctx, work context.Context, running map[string]func(), all *sync.WaitGroup) {
	configured := s.settings.Load()
	for form, stop := range running {
		if _, _, ok := configured.target(form); !ok {
			stop()
			delete(running, form)
			s.mu.Lock()
			delete(s.lines, form)
			s.mu.Unlock()
		}
	}
	for form := range configured.forms {
		if _, _, ok := configured.target(form); !ok || running[form] != nil {
			continue
		}
		l := newLine(s, form)
		own, stop := context.WithCancel(ctx)
		running[form] = stop
		s.mu.Lock()
		s.lines[form] = l
		s.mu.Unlock()
		all.Go(func() {
			defer stop()
			l.run(own, work)
		})
	}
}
