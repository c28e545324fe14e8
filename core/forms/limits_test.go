package forms

import (
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
)

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

var hourly = config.Limits{Rate: config.Rate{N: 1, Per: time.Hour}, Burst: 2, Concurrency: 8}

func TestANetworkMaySendFourTimesWhatOneAddressMay(t *testing.T) {
	for network, base := range map[string]string{"192.0.2.0": "198.51.100.1", "2001:db8::": "2001:db8:0:1::"} {
		l, now := newLimiter(hourly, nil), time.Now()
		taken := 0
		for a := addr(network); taken < 100; a = a.Next() {
			if l.take(a, now) > 0 {
				break
			}
			taken++
			if l.take(a, now) > 0 {
				break
			}
			taken++
			if l.take(a, now) == 0 {
				t.Fatal("one address takes more than its burst")
			}
		}
		if taken != 2*networkShare {
			t.Errorf("%s took %d", network, taken)
		}
		if l.take(addr(base), now) > 0 {
			t.Errorf("%s pays for %s", base, network)
		}
	}
}

func TestASiteOfIPv6IsNotAsManyVisitorsAsItHasNetworks(t *testing.T) {
	l, now := newLimiter(hourly, nil), time.Now()
	taken, places := 0, 0
	for n := range byte(200) {
		client := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 1, 0, n, 15: 1})
		if l.take(client, now) == 0 {
			taken++
		}
		if l.enter(client) {
			places++
		}
	}
	if taken != 2*siteShare || places != 4 {
		t.Errorf("a /48 took %d of %d, and %d of 8 places", taken, 2*siteShare, places)
	}
	if other := addr("2001:db8:2::1"); l.take(other, now) > 0 || !l.enter(other) {
		t.Error("another site pays for it")
	}
}

func TestAFloodOfAddressesTakesNoMoreMemoryAndDoesNotForgive(t *testing.T) {
	l := newLimiter(hourly, nil)
	now, busy := time.Now(), addr("203.0.113.1")
	l.take(busy, now)
	l.take(busy, now)
	for n := range uint32(20_000) {
		var b [16]byte
		b[0] = 0x20
		binary.BigEndian.PutUint32(b[2:], n)
		if l.take(netip.AddrFrom16(b), now) > 0 {
			t.Fatal("somebody new is refused for want of memory")
		}
	}
	if a, n := len(l.addresses.full), len(l.networks.full); a > maxBuckets || n > maxBuckets {
		t.Errorf("%d addresses, %d networks", a, n)
	}
	if l.take(busy, now) == 0 {
		t.Error("who had used up what he may is forgotten before those of the flood")
	}
}

func TestOneClientCanNotTakeAllPlaces(t *testing.T) {
	l := newLimiter(hourly, nil)
	enter := func(a string) bool { return l.enter(addr(a)) }
	if !enter("192.0.2.1") || !enter("192.0.2.1") || enter("192.0.2.1") {
		t.Error("an address has a quarter of 8 places")
	}
	if !enter("192.0.2.2") || !enter("192.0.2.3") || enter("192.0.2.4") {
		t.Error("a network has half of 8 places")
	}
	for _, a := range []string{"198.51.100.1", "198.51.100.2", "203.0.113.1", "203.0.113.2"} {
		if !enter(a) {
			t.Errorf("%s has no place", a)
		}
	}
	if enter("2001:db8::1") {
		t.Error("nine are in eight places")
	}
	l.leave(addr("192.0.2.1"))
	if !enter("2001:db8::1") {
		t.Error("a place that was left is not free")
	}
	if len(l.places.addresses) > 8 {
		t.Error("who left is remembered")
	}
}

func TestAReloadKeepsWhatLimitsHaveCounted(t *testing.T) {
	const text = `  contact: {limits: {rate: 1/h, burst: 1}}`
	h := serve(t, text)
	post := func() int {
		return h.send(t, "POST", "/forms/contact", "a=1", asURL).StatusCode
	}
	if first, second := post(), post(); first != 303 || second != 429 {
		t.Fatal(first, second)
	}
	h.use(t, load(t, strings.Replace(text, "{limits", "{redirect: /x, limits", 1)))
	if got := post(); got != 429 {
		t.Error("a reload gives a new allowance:", got)
	}
	h.use(t, load(t, strings.Replace(text, "burst: 1", "burst: 2", 1)))
	if got := post(); got != 303 {
		t.Error("new limits do not hold:", got)
	}
}

func TestWhoIsLimitedIsToldWhenToComeBackBeforeTheBodyIsRead(t *testing.T) {
	h := serve(t, `  contact: {limits: {rate: 1/h, burst: 1, concurrency: 1}}`)
	h.send(t, "POST", "/forms/contact", "a=1", asURL)
	for accept, media := range map[string]string{"text/html": "text/html; charset=utf-8", "application/json": "application/problem+json"} {
		r := httptest.NewRequest("POST", "/forms/contact", unread{t})
		r.RemoteAddr = "127.0.0.1:1"
		r.Header = http.Header{"Content-Type": {urlencoded}, "Accept": {accept}}
		w := httptest.NewRecorder()
		h.forms.ServeHTTP(w, r)
		if w.Code != 429 || w.Header().Get("Retry-After") != "3600" || w.Header().Get("Content-Type") != media || w.Header().Get("Cache-Control") != "no-store" {
			t.Error(accept, w.Code, w.Header())
		}
	}
}

// unread is a body that nobody reads.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, http.ErrBodyReadAfterClose
}

// nothing takes an answer and forgets it.
type nothing http.Header

func (n nothing) Header() http.Header         { return http.Header(n) }
func (n nothing) Write(b []byte) (int, error) { return len(b), nil }
func (n nothing) WriteHeader(int)             {}

// refused returns a request of a flood, and the handler that refuses it.
func refused(t testing.TB) (*Forms, *http.Request) {
	f := New(Options{Key: make([]byte, 32)})
	plan, err := f.Plan(&config.Config{Forms: map[string]config.Form{"contact": {Limits: hourly}}})
	if err != nil {
		t.Fatal(err)
	}
	plan.Commit()
	r := httptest.NewRequest("POST", "/forms/contact", http.NoBody)
	r.Header = http.Header{"Content-Type": {urlencoded}, "Accept": {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}}
	limit := (*f.forms.Load())["contact"].limits
	for limit.take(clientOf(r), time.Now()) == 0 {
	}
	return f, r
}

func TestRefusingAFloodCostsNextToNothing(t *testing.T) {
	f, r := refused(t)
	w := nothing{}
	if n := testing.AllocsPerRun(100, func() {
		clear(w)
		f.ServeHTTP(w, r)
	}); n > 15 {
		t.Errorf("%v allocations for a refusal", n)
	}
}

func BenchmarkRefusal(b *testing.B) {
	f, r := refused(b)
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		w := nothing{}
		for p.Next() {
			clear(w)
			f.ServeHTTP(w, r)
		}
	})
}
