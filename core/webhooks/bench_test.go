package webhooks

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/sqlite"
	"github.com/onehost/edge/core/webhooks/inbox"
)

// senders is how many deliveries are under way at once in BenchmarkReceive.
const senders = 64

// BenchmarkReceive verifies and keeps deliveries of 2 KiB on SQLite, beside inserts of the same document that go straight into the store. The two take turns,
// so that what else the machine does is shared: of-insert is the part of the store's own speed that is left (target: 0.7 at least).
func BenchmarkReceive(b *testing.B) {
	engine, err := sqlite.Open(context.Background(), filepath.Join(b.TempDir(), "edge.db"), quiet)
	if err != nil {
		b.Fatal(err)
	}
	defer engine.Close()
	sources := map[string]config.Webhook{"github": github()}
	kept := inbox.New(inbox.Options{Store: engine, Log: quiet})
	kept.Use(sources)
	if err := kept.Ensure(b.Context()); err != nil {
		b.Fatal(err)
	}
	h := New(Options{Inbox: kept, Spool: newSpool(b), Log: quiet})
	p, err := h.Plan(&config.Config{Webhooks: sources})
	if err != nil {
		b.Fatal(err)
	}
	p.Commit()

	body := `{"padding":"` + strings.Repeat("x", 2<<10) + `"}`
	var n atomic.Int64
	once := signed("github", "", body)
	receive := func() { // the source's own work is not counted
		r := *once
		r.Header, r.Body = maps.Clone(once.Header), io.NopCloser(strings.NewReader(body))
		r.Header["X-Github-Delivery"] = []string{fmt.Sprint(n.Add(1))}
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, &r); w.Code != 200 {
			b.Error(w.Code)
		}
	}
	receive()
	same, err := engine.Find(b.Context(), store.Query{Collection: "deliveries", Limit: 1})
	if err != nil || len(same) != 1 {
		b.Fatal(err)
	}
	insert := func() {
		d := maps.Clone(same[0])
		d["id"], d["event"] = store.NewID(), fmt.Sprint(n.Add(1))
		if _, err := engine.Apply(context.Background(), store.Insert{Collection: "deliveries", Document: d}); err != nil {
			b.Error(err)
		}
	}
	var received, inserted time.Duration
	const round = 2000
	for b.Loop() {
		received += timed(round, receive)
		inserted += timed(round, insert)
	}
	done := float64(b.N * round)
	b.ReportMetric(done/received.Seconds(), "acks/s")
	b.ReportMetric(done/inserted.Seconds(), "inserts/s")
	b.ReportMetric(inserted.Seconds()/received.Seconds(), "of-insert")
}

// timed does something n times, by as many senders at once as there are.
func timed(n int, do func()) time.Duration {
	begin := time.Now()
	var left atomic.Int64
	left.Store(int64(n))
	ended := make(chan struct{}, senders)
	for range senders {
		go func() {
			for left.Add(-1) >= 0 {
				do()
			}
			ended <- struct{}{}
		}()
	}
	for range senders {
		<-ended
	}
	return time.Since(begin)
}
