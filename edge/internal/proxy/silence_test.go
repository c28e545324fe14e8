package proxy

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

func TestWhoIsToBlameForSilence(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*attempt)
		// what has become of the attempt after so many limits
		after float64
		want  error
	}{
		{"nobody before the limit", func(*attempt) {}, 0.9, nil},
		{"the target", func(*attempt) {}, 1.3, errTargetSilent},
		{"nobody while something moves", func(a *attempt) { time.Sleep(a.limit / 2); a.touch() }, 1.4, nil},
		{"the target when it has stopped", func(a *attempt) { time.Sleep(a.limit / 2); a.touch() }, 1.8, errTargetSilent},
		{"the visitor who owes the body", func(a *attempt) { _ = a.body.begin() }, 1.3, errClientSilent},
		{"the target that has begun to answer", func(a *attempt) { _ = a.body.begin(); a.answered.Store(true) }, 1.3, errTargetSilent},
		{"nobody here while the visitor takes his time", func(a *attempt) { a.pause() }, 5, nil},
		{"the target after that", func(a *attempt) { a.pause(); time.Sleep(3 * a.limit / 2); a.resume() }, 3.1, errTargetSilent},
		{"the target whose drain is over", func(a *attempt) { a.guard.close() }, 0.1, errDrained},
		{"the visitor who left first", func(a *attempt) { a.Gone(exchange.ErrClientGone); a.guard.close() }, 2, exchange.ErrClientGone},
	} {
		for _, limit := range []time.Duration{100 * time.Millisecond, time.Minute} {
			t.Run(tt.name+" of "+limit.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var g guard
					defer g.close()
					x, _ := exchangetest.New("POST", "/", exchangetest.BodyFrom(nil, -1))
					x.Idle = limit
					begin := time.Now()
					a := new(attempt)
					if !a.begin(x, manner{}, &g) {
						t.Fatal("the target has ended")
					}
					tt.do(a)
					time.Sleep(time.Duration(tt.after*float64(limit)) - time.Since(begin))
					synctest.Wait()
					if got := a.interruption(); !errors.Is(got, tt.want) {
						t.Errorf("%v, want %v", got, tt.want)
					}
					a.body.reading = false
					a.end()
				})
			})
		}
	}
}

func TestGuardOfManyAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g guard
		attempts := make([]*attempt, 5)
		for i := range attempts {
			x, _ := exchangetest.New("GET", "/")
			x.Idle = time.Duration(i+1) * 10 * time.Second
			attempts[i] = new(attempt)
			attempts[i].begin(x, manner{}, &g)
		}
		attempts[1].end() // and those behind it stay where they are looked after
		time.Sleep(45 * time.Second)
		synctest.Wait()
		for i, want := range []error{errTargetSilent, nil, errTargetSilent, errTargetSilent, nil} {
			if got := attempts[i].interruption(); !errors.Is(got, want) {
				t.Errorf("attempt %d: %v, want %v", i, got, want)
			}
		}
		for _, i := range []int{4, 0, 2, 3} {
			attempts[i].end()
		}
		g.close()
		if len(g.attempts) > 0 || new(attempt).begin(attempts[0].x, manner{}, &g) {
			t.Error("an attempt begins after the target has ended")
		}
	})
}
