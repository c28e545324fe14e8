package route53

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/libdns/libdns"
	"golang.org/x/sync/errgroup"
)

func expect(t *testing.T, zoneID, name string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := account.TXT(t, zoneID, name); !slices.Equal(got, want) {
		t.Errorf("%s has the TXT records %q, want %q", name, got, want)
	}
}

func TestAChallengeIsPresentedAwaitedAndCleanedUp(t *testing.T) {
	zone, id := zoneFor(t)
	s, c := newSolver(t, Options{}), challenge(zone, 1)
	var asked atomic.Int32
	account.Intercept(t, func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/change/") || asked.Add(1) > 2 {
			return false
		}
		w.Write([]byte(`<GetChangeResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status></ChangeInfo></GetChangeResponse>`))
		return true
	})
	if err := s.Present(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	expect(t, id, "_acme-challenge."+zone, answers(zone, 1)...)
	if err := s.Wait(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("the change was asked for %d times, want until it is INSYNC: 3", n)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.CleanUp(gone, c); err != nil {
		t.Errorf("cleaning up after the order was given up: %v", err)
	}
	expect(t, id, "_acme-challenge."+zone)
	if err := s.CleanUp(t.Context(), c); err != nil {
		t.Errorf("cleaning up what is clean: %v", err)
	}
}

// The gate before moto refuses a DELETE of what is no longer there, as Route 53 does.
func TestWritersOfOneNameLoseNothingOfEachOther(t *testing.T) {
	zone, id := zoneFor(t)
	const hosts, each = 3, 3
	var solvers []*Solver // each like one in a process of its own: they share no lock
	for range hosts {
		solvers = append(solvers, newSolver(t, Options{HostedZoneID: id}))
	}
	all := func(do func(s *Solver, which int) error) {
		t.Helper()
		var group errgroup.Group
		for i := range hosts * each {
			group.Go(func() error { return do(solvers[i%hosts], i) })
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	all(func(s *Solver, which int) error { return s.Present(t.Context(), challenge(zone, which)) })
	expect(t, id, "_acme-challenge."+zone, answers(zone, 0, 1, 2, 3, 4, 5, 6, 7, 8)...)
	all(func(s *Solver, which int) error {
		if which == 4 {
			return nil
		}
		return s.CleanUp(t.Context(), challenge(zone, which))
	})
	expect(t, id, "_acme-challenge."+zone, answers(zone, 4)...)
}

func TestValuesOfOthersStayAsTheyAreWritten(t *testing.T) {
	zone, id := zoneFor(t)
	s := newSolver(t, Options{})
	const odd = `"\141\040b" "c"`
	p := s.provider
	z, err := p.zoneOf(t.Context(), zone)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.swap(t.Context(), z, "_acme-challenge."+zone+".", recordSet{}, recordSet{ttl: 300, values: []string{odd}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Present(t.Context(), challenge(zone, 1)); err != nil {
		t.Fatal(err)
	}
	set, err := p.read(t.Context(), z, "_acme-challenge."+zone+".")
	if want := (recordSet{60, []string{odd, quote(answers(zone, 1)[0])}}); err != nil || !set.equal(want) {
		t.Errorf("the set is %v, %v, want %v", set, err, want)
	}
	if err := s.CleanUp(t.Context(), challenge(zone, 1)); err != nil {
		t.Fatal(err)
	}
	expect(t, id, "_acme-challenge."+zone, strings.Trim(odd, `"`))
}

// The SDK sends a change again when its answer got lost. It is refused then, since it has been made.
func TestAChangeWhoseAnswerIsLostIsFoundDone(t *testing.T) {
	zone, id := zoneFor(t)
	s := newSolver(t, Options{HostedZoneID: id})
	var lost sync.Once
	account.Intercept(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || r.Header.Get("X-Sent-On") != "" {
			return false
		}
		lost.Do(func() {
			again, _ := http.NewRequest(r.Method, account.URL+r.URL.Path, r.Body)
			again.Header = r.Header.Clone()
			again.Header.Set("X-Sent-On", "1")
			if answer, err := http.DefaultClient.Do(again); err != nil || answer.StatusCode != http.StatusOK {
				t.Error(answer, err)
			} else {
				answer.Body.Close()
			}
			panic(http.ErrAbortHandler)
		})
		return false
	})
	if err := s.Present(t.Context(), challenge(zone, 1)); err != nil {
		t.Fatal(err)
	}
	expect(t, id, "_acme-challenge."+zone, answers(zone, 1)...)
	if err := s.Wait(t.Context(), challenge(zone, 1)); err != nil {
		t.Error(err)
	}
}

func TestWhoIsAlwaysTooLateGivesUp(t *testing.T) {
	zone, id := zoneFor(t)
	s, other := newSolver(t, Options{HostedZoneID: id}), newSolver(t, Options{HostedZoneID: id})
	var rounds atomic.Int32
	var busy atomic.Bool
	account.Intercept(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && busy.CompareAndSwap(false, true) {
			defer busy.Store(false)
			if err := other.Present(context.WithoutCancel(t.Context()), challenge(zone, rounds.Add(1))); err != nil {
				t.Error(err)
			}
		}
		return false
	})
	err := s.Present(t.Context(), challenge(zone, "mine"))
	if err == nil || !strings.Contains(err.Error(), "changed by others") || rounds.Load() != changeRounds {
		t.Errorf("after %d rounds: %v", rounds.Load(), err)
	}
}

func TestAChangeThatIsNotPossibleIsNotRepeatedForLong(t *testing.T) {
	zone, id := zoneFor(t)
	s := newSolver(t, Options{HostedZoneID: id})
	var sent atomic.Int32
	account.Intercept(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		sent.Add(1)
		w.WriteHeader(http.StatusBadRequest)
		w.Write([]byte(`<InvalidChangeBatch xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Messages><Message>RRSet of type TXT is not permitted because a conflicting RRSet of type CNAME exists</Message></Messages></InvalidChangeBatch>`))
		return true
	})
	err := s.Present(t.Context(), challenge(zone, 1))
	var refused *types.InvalidChangeBatch
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "conflicting RRSet of type CNAME") || !strings.Contains(err.Error(), zone) {
		t.Error(err)
	}
	if n := sent.Load(); n != changeAsBefore {
		t.Errorf("it was sent %d times", n)
	}
}

func TestRoute53IsAskedAgainWhenItIsBusy(t *testing.T) {
	for _, code := range []string{"Throttling", "PriorRequestNotComplete"} {
		t.Run(code, func(t *testing.T) {
			zone, id := zoneFor(t)
			s := newSolver(t, Options{HostedZoneID: id})
			account.Intercept(t, refusing("POST", "/rrset", 1, http.StatusBadRequest, code, "Rate exceeded"))
			if err := s.Present(t.Context(), challenge(zone, 1)); err != nil {
				t.Fatal(err)
			}
			expect(t, id, "_acme-challenge."+zone, answers(zone, 1)...)
		})
	}
}

func TestTheProviderKeepsToLibdns(t *testing.T) {
	zone, id := zoneFor(t)
	p := newSolver(t, Options{}).provider
	one, two := libdns.TXT{Name: "a", Text: "one"}, libdns.TXT{Name: "@", Text: "two"}
	added, err := p.AppendRecords(t.Context(), zone+".", []libdns.Record{one, two})
	if err != nil || len(added) != 2 || added[0].RR().TTL != defaultTTL || added[1].RR().Name != "@" {
		t.Fatal(added, err)
	}
	expect(t, id, "a."+zone, "one")
	expect(t, id, zone, "two")
	deleted, err := p.DeleteRecords(t.Context(), zone, []libdns.Record{libdns.TXT{Name: "a", Text: "three"}, libdns.TXT{Name: "b", Text: "one"}, added[0]})
	if err != nil || len(deleted) != 1 || deleted[0].RR().Data != "one" {
		t.Error(deleted, err)
	}
	expect(t, id, "a."+zone)
	for _, bad := range []libdns.Record{libdns.CNAME{Name: "c", Target: "d."}, libdns.TXT{Name: "c"}} {
		if _, err := p.AppendRecords(t.Context(), zone, []libdns.Record{bad}); err == nil {
			t.Errorf("%v was added", bad)
		}
	}
	if _, err := p.AppendRecords(t.Context(), "below."+zone, []libdns.Record{one}); err == nil {
		t.Error("a zone that is none was changed")
	}
}
