package accounts

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"testing"
	"time"
)

var began = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func address(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}) }

func TestLoginsAreLimitedAndToldHowManyAreLeft(t *testing.T) {
	d := memory(t, plain())
	d.add("alice", "")
	try := func() *answer {
		return d.send("POST /auth/local", "", `{"identifier":"Alice"}`)
	}
	for left := perBoth - 1; left >= 0; left-- {
		a := d.want(try(), http.StatusBadRequest)
		if h := a.Header(); h.Get("X-RateLimit-Limit") != "10" || h.Get("X-RateLimit-Remaining") != strconv.Itoa(left) {
			t.Errorf("%v, want %d left", h, left)
		}
	}
	a := try()
	d.refused(a, http.StatusTooManyRequests, "Too many requests, please try again later.")
	if wait, err := strconv.Atoi(a.Header().Get("Retry-After")); err != nil || wait < 290 || wait > 300 || a.Header().Get("X-RateLimit-Remaining") != "0" {
		t.Errorf("%v", a.Header())
	}
	d.want(d.send("POST /auth/local", "", `{"identifier":"bob"}`), http.StatusBadRequest)
	d.later(window)
	d.enterAs("alice")
}

func TestAnAccountIsLimitedWhereverTheRequestsComeFrom(t *testing.T) {
	l := newLimits()
	for i := range perIdentifier {
		if _, wait := l.take("/auth/local", "alice", address(i), began); wait > 0 {
			t.Fatalf("request %d has to wait", i)
		}
	}
	left, wait := l.take("/auth/local", "alice", address(1000), began.Add(time.Minute))
	if left != 0 || wait != window-time.Minute {
		t.Errorf("%d left, %v to wait", left, wait)
	}
	if _, wait := l.take("/auth/reset-password", "alice", address(1001), began); wait > 0 {
		t.Error("another path has to wait, too")
	}
}

func TestAnAddressIsLimitedWhomeverItAsksAbout(t *testing.T) {
	l := newLimits()
	for i := range perAddress {
		from := netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1)) // one /64
		if _, wait := l.take("/auth/local", fmt.Sprint("user", i), from, began); wait > 0 {
			t.Fatalf("request %d has to wait", i)
		}
	}
	if _, wait := l.take("/auth/local", "other", netip.MustParseAddr("2001:db8::ffff"), began); wait == 0 {
		t.Error("another address of the network is not limited")
	}
	if _, wait := l.take("/auth/local", "other", netip.MustParseAddr("2001:db8:0:1::1"), began); wait > 0 {
		t.Error("another network is limited")
	}
}

func TestAFloodOfAddressesTakesBoundedMemoryAndFreesNobody(t *testing.T) {
	l := newLimits()
	for range perBoth {
		l.take("/auth/local", "alice", address(1), began)
	}
	for i := range 3 * maxCounts {
		l.take("/auth/local", fmt.Sprint(i), netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), began)
	}
	if len(l.by) > maxCounts {
		t.Errorf("%d counts are kept", len(l.by))
	}
	if _, wait := l.take("/auth/local", "alice", address(1), began); wait == 0 {
		t.Error("who was limited is free")
	}
}
