package submissions

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/lambda"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
)

func TestHostsThatShareAStoreShareTheWork(t *testing.T) {
	for name, address := range engines.Addresses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const many = 200
			where := address(t)
			one, two := spied(enginetest.Opened(t, where)), spied(enginetest.Opened(t, where))
			f := newFunction(says(`{}`))
			two.written = one.written
			a, b := on(one, f), on(two, f)
			for i, event := range names(many) {
				keep(t, []*Submissions{a, b}[i%2], sent(event))
			}
			runs(t, a)
			runs(t, b)
			one.await(t, "all are done", func() bool { return inState(t, one, Done) == many })
			for event, n := range f.events {
				if n != 1 {
					t.Errorf("%s was delivered %d times", event, n)
				}
			}
			if one.times("claim") < 20 || two.times("claim") < 20 {
				t.Errorf("%d claims of one, %d of the other", one.times("claim"), two.times("claim"))
			}
		})
	}
}

// stalled is submissions whose function does not come back from the first call before it is told to, and whose claims are short.
func stalled(s store.Store) (stalls *Submissions, called, answer chan struct{}) {
	called, answer = make(chan struct{}), make(chan struct{})
	var calls atomic.Int64
	stalls = on(s, newFunction(func(context.Context, string, string) (lambda.Result, error) {
		if calls.Add(1) > 1 {
			return lambda.Result{Payload: []byte(`{}`)}, nil
		}
		close(called)
		<-answer
		return lambda.Result{Payload: []byte(`{"statusCode":400,"body":"too late"}`)}, nil
	}))
	stalls.slack = 100 * time.Millisecond
	stalls.Use(forms, map[string]config.Function{"mail": {Timeout: 100 * time.Millisecond, Concurrency: 1}})
	return stalls, called, answer
}

func TestWhatComesTooLateDoesNotCount(t *testing.T) {
	engines.Each(t, func(t *testing.T, kept store.Store) {
		slow, called, answer := stalled(kept)
		id := keep(t, slow, sent("a")).ID
		stop := runs(t, slow)
		<-called

		watched := spied(kept)
		quick := on(watched, newFunction(says(`{"statusCode":500,"body":"in time"}`)))
		quick.poll = 20 * time.Millisecond
		runs(t, quick)
		watched.await(t, "the other has called its function", func() bool { return get(t, quick, id).Error != "" })
		want := get(t, quick, id)
		close(answer)
		stop()
		if got := get(t, quick, id); !reflect.DeepEqual(got, want) || got.State != Pending || got.Attempts != 2 {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

func TestWhatComesLateCountsNeitherAfterAPersonHasSentItAgain(t *testing.T) {
	engines.Each(t, func(t *testing.T, kept store.Store) {
		watched := spied(kept)
		slow, called, answer := stalled(watched)
		id := keep(t, slow, sent("a")).ID
		runs(t, slow)
		<-called
		for _, mark := range []func(context.Context, string) error{slow.Spam, slow.Ham} {
			err := mark(t.Context(), id)
			for errors.Is(err, fault.Conflict) && strings.Contains(err.Error(), "being delivered") { // until the claim is over
				err = mark(t.Context(), id)
			}
			if err != nil {
				t.Error(err)
			}
		}
		close(answer)
		watched.await(t, "it has ended", func() bool { return get(t, slow, id).State != Pending })
		if got := get(t, slow, id); got.State != Done || got.Attempts != 2 || got.Error != "" {
			t.Errorf("%+v", got)
		}
	})
}

func TestALostAcknowledgementOfAnOutcomeIsNoSecondDelivery(t *testing.T) {
	engines.Each(t, func(t *testing.T, kept store.Store) {
		watched := spied(kept)
		f := newFunction(says(`{}`))
		s := on(watched, f)
		for _, name := range names(5) {
			keep(t, s, sent(name))
		}
		var lost atomic.Int64
		watched.writes = func() error {
			if lost.Add(1) <= 3 {
				return fmt.Errorf("the connection broke: %w", fault.Unavailable)
			}
			return nil
		}
		stop := runs(t, s)
		watched.await(t, "all are done", func() bool { return inState(t, kept, Done) == 5 })
		stop()
		if lost.Load() != 5 || watched.times("apply") != 5+5+3 {
			t.Errorf("%d outcomes, %d writes", lost.Load(), watched.times("apply"))
		}
		for _, name := range names(5) {
			if n := f.calls(name); n != 1 {
				t.Errorf("%s: %d calls", name, n)
			}
		}
	})
}
