package realtime

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
)

// page is a client's side of a stream, without a connection.
type page struct {
	http.ResponseWriter
	mu   sync.Mutex
	text strings.Builder
	full bool // it takes nothing more
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.full {
		return 0, errors.New("the client takes nothing")
	}
	return p.text.Write(b)
}

func (*page) FlushError() error { return nil }

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// serve has a stream of notes begin; what it returns is closed at its end.
func (h *house) serve(p *page, valid func(context.Context) bool) <-chan struct{} {
	ended := make(chan struct{})
	p.ResponseWriter = httptest.NewRecorder()
	go func() {
		defer close(ended)
		h.ServeType(p, httptest.NewRequestWithContext(h.Context(), http.MethodGet, "/", nil), h.set.Type("note"), &titles, nil, valid)
	}()
	synctest.Wait()
	return ended
}

func inBubble(t *testing.T, test func(h *house)) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.NewMemory()
		ensure(t, s)
		test(running(t, s))
	})
}

func TestAQuietStreamBeatsAndLearnsItsPosition(t *testing.T) {
	inBubble(t, func(h *house) {
		p := new(page)
		h.serve(p, nil)
		began := p.String()
		if !strings.HasPrefix(began, "retry: 2000\n\nid: ") || p.Header().Get("Cache-Control") != "no-store" || p.Header().Get("X-Accel-Buffering") != "no" {
			t.Errorf("%q %v", began, p.Header())
		}
		h.do(changes.Create, "tag", "t1", store.Document{"name": "x"}, changes.Change{})
		time.Sleep(heartbeat + time.Second)
		beat := strings.TrimPrefix(p.String(), began)
		if !strings.HasPrefix(beat, ":\nid: ") || !strings.HasSuffix(beat, "\n\n") || strings.Contains(began, strings.TrimPrefix(beat, ":\n")) {
			t.Errorf("%q after %q", beat, began)
		}
	})
}

func TestAStreamEndsWhenTheCallerMayNotGoOnAndWithItsAge(t *testing.T) {
	inBubble(t, func(h *house) {
		began, asked := time.Now(), 0
		<-h.serve(new(page), func(context.Context) bool { asked++; return asked < 3 })
		if lasted := time.Since(began); lasted != 3*validity {
			t.Errorf("a caller was heard for %v after he was blocked", lasted)
		}
		began = time.Now()
		<-h.serve(new(page), nil)
		if lasted := time.Since(began); lasted > MaxAge || lasted < MaxAge*8/10 {
			t.Errorf("a stream lasted %v", lasted)
		}
	})
}

func TestAClientThatTakesNothingIsCutOff(t *testing.T) {
	inBubble(t, func(h *house) {
		p := new(page)
		ended := h.serve(p, nil)
		p.mu.Lock()
		p.full = true
		p.mu.Unlock()
		h.note(changes.Create, "a1", store.Document{"title": "one"})
		<-ended
	})
}

func TestWhoIsTooFarBehindIsCutOffAndWhoseTypeIsQuietIsNot(t *testing.T) {
	r := newRing()
	put := func(n int, of string) {
		r.put(&item{Change: changes.Change{Type: of, Entry: "e"}, position: fmt.Sprint("position ", n)})
	}
	put(0, "")
	_, _, at, news, ok := r.after(1, "quiet")
	if !ok || at != 1 {
		t.Fatal(at, ok)
	}
	for n := 1; n <= kept+1; n++ {
		put(n, "loud")
		select {
		case <-news:
			if _, _, at, news, ok = r.after(at, "quiet"); !ok {
				t.Fatalf("a quiet one is cut off after %d changes", n)
			}
		default:
		}
	}
	if _, _, _, _, ok := r.after(1, "loud"); ok {
		t.Error("who has not taken the first change is heard on")
	}
	if i, before, next, _, ok := r.after(2, "loud"); !ok || i.position != "position 2" || before != nil && before.position != "position 1" || next != 3 {
		t.Error(i, before, next, ok)
	}
	if _, ok := r.place("position 1"); ok {
		t.Error("what is gone has a place")
	}
	if n, ok := r.place("position 2"); !ok || n != 2 || len(r.places) != kept {
		t.Error(n, ok, len(r.places))
	}
	r.missed()
	if _, _, _, _, ok := r.after(kept+2, "loud"); ok {
		t.Error("nobody knows what was missed, and a stream goes on")
	}
}

func TestThereAreNoMoreStreamsThanCanBe(t *testing.T) {
	r := New(Options{Log: quiet})
	address := func(n int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 32)
	}
	for n := range MaxStreams {
		if _, err := r.enter(address(n / MaxPerAddress)); err != nil {
			t.Fatal(n, err)
		}
	}
	if _, err := r.enter(address(0)); fault.CodeOf(err) != fault.TooMany {
		t.Error(err)
	}
	if _, err := r.enter(address(9999)); fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
	r.leave(address(0))
	if _, err := r.enter(address(0)); err != nil {
		t.Error(err)
	}
	r.Use(types())
	p := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.RemoteAddr = "10.0.0.0:1"
	r.ServeType(p, request, types().Type("note"), &titles, nil, nil)
	if p.Code != http.StatusTooManyRequests || p.Header().Get("Retry-After") == "" {
		t.Error(p.Code, p.Header())
	}
	r.Drain()
	if _, err := r.enter(address(9999)); fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
}

func TestAnAddressIsOneCustomers(t *testing.T) {
	for from, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1/32", "[::ffff:192.0.2.1]:80": "192.0.2.1/32", "[2001:db8:1:2:3::4]:80": "2001:db8:1:2::/64", "[fe80::1%eth0]:1": "fe80::/64", "192.0.2.1": "192.0.2.1/32", "@": "invalid Prefix", "": "invalid Prefix",
	} {
		if got := addressOf(&http.Request{RemoteAddr: from}).String(); got != want {
			t.Errorf("%q is %s, want %s", from, got, want)
		}
	}
}

// BenchmarkFollowers is what a change costs that 200 hear of, each with a condition of his own.
func BenchmarkFollowers(b *testing.B) {
	s := opened(b, engines.Addresses()["sqlite"](b))
	h := running(b, s)
	var last []*page
	ctx, cancel := context.WithCancel(b.Context())
	var all sync.WaitGroup
	for n := range 200 {
		p := &page{ResponseWriter: httptest.NewRecorder()}
		last = append(last, p)
		all.Go(func() {
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
			r.RemoteAddr = fmt.Sprintf("10.0.0.%d:1", n)
			h.ServeType(p, r, h.set.Type("note"), &titles, mine{"ada"}, nil)
		})
	}
	told := func(n int) bool {
		for _, p := range last {
			if strings.Count(p.String(), "event: ") < n {
				return false
			}
		}
		return true
	}
	for _, p := range last {
		for !strings.Contains(p.String(), "id: ") {
			time.Sleep(time.Millisecond)
		}
	}
	n, began := 0, time.Now()
	for b.Loop() {
		n++
		h.note(changes.Update, "a1", store.Document{"title": "one", "owner": "ada", "state": fmt.Sprint(n)})
	}
	for !told(n) {
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(float64(time.Since(began).Microseconds())/1000/float64(n), "ms/change")
	cancel()
	all.Wait()
}
