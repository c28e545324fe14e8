package proxy

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhoIsToBlameForSilence(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*silence)
		// what has become of the attempt after so many limits
		after float64
		want  error
	}{
		{"nobody before the limit", func(*silence) {}, 0.9, nil},
		{"the target", func(*silence) {}, 1.1, errTargetSilent},
		{"nobody while something moves", func(s *silence) { time.Sleep(s.limit / 2); s.touch() }, 1.4, nil},
		{"the target when it has stopped", func(s *silence) { time.Sleep(s.limit / 2); s.touch() }, 1.6, errTargetSilent},
		{"the visitor who owes the body", func(s *silence) { _ = s.body.begin() }, 1.1, errClientSilent},
		{"the target that has begun to answer", func(s *silence) { _ = s.body.begin(); s.answered.Store(true) }, 1.1, errTargetSilent},
		{"nobody here while the visitor takes his time", func(s *silence) { s.pause() }, 5, nil},
		{"the target after that", func(s *silence) { s.pause(); time.Sleep(3 * s.limit / 2); s.resume() }, 3.1, errTargetSilent},
		{"nobody when it is over", func(s *silence) { s.stop() }, 5, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const limit = time.Minute
				ctx, cancel := context.WithCancelCause(context.Background())
				begin := time.Now()
				s := startSilence(limit, cancel, newRequestBody(nil))
				defer s.stop()
				tt.do(s)
				time.Sleep(time.Duration(tt.after*float64(limit)) - time.Since(begin))
				synctest.Wait()
				if got := context.Cause(ctx); got != tt.want {
					t.Errorf("%v, want %v", got, tt.want)
				}
			})
		})
	}
}
