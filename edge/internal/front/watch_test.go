package front

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// A watcher passes on why its visitor has gone.
type watcher chan error

func (w watcher) Gone(why error) { w <- why }

func (w watcher) wait(t *testing.T) error {
	select {
	case why := <-w:
		return why
	case <-time.After(20 * time.Second):
		t.Error("nobody was told")
		return nil
	}
}

func TestWhoWatchesHearsThatTheVisitorHasGone(t *testing.T) {
	t.Parallel()
	for _, protocol := range []exchange.Protocol{exchange.HTTP11, exchange.HTTP2, exchange.HTTP3} {
		t.Run(protocol.String(), func(t *testing.T) {
			t.Parallel()
			watching, ended := make(chan struct{}), make(chan error, 1)
			h := start(t, true, Limits{ReadHead: 40 * time.Millisecond}, func(x *exchange.Exchange) {
				former, told := make(watcher, 1), make(watcher, 1)
				x.Watch(former)
				x.Watch(nil)
				x.Watch(told)
				close(watching)
				why := told.wait(t)
				x.Watch(nil)
				if len(former) > 0 || len(told) > 0 {
					t.Error("told who no longer watches, or twice")
				}
				ended <- why
			})
			ctx, leave := context.WithCancel(t.Context())
			r, err := http.NewRequestWithContext(ctx, "GET", h.url("/"), nil)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				<-watching
				leave()
			}()
			if a, err := h.client(protocol).Transport.RoundTrip(r); err == nil {
				a.Body.Close()
			}
			if why := <-ended; !errors.Is(why, exchange.ErrClientGone) {
				t.Errorf("told %v", why)
			}
		})
	}
}

func TestWhoWatchesTooLateIsToldAtOnce(t *testing.T) {
	t.Parallel()
	told := make(chan error, 1)
	h := start(t, false, Limits{ReadHead: 40 * time.Millisecond}, func(x *exchange.Exchange) {
		<-x.Context().Done()
		w := make(watcher, 1)
		x.Watch(w)
		told <- w.wait(t)
	})
	v := h.visit()
	v.send(get())
	v.Close()
	if why := <-told; !errors.Is(why, exchange.ErrClientGone) {
		t.Errorf("told %v", why)
	}
}
