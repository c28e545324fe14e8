package cert

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"
	"github.com/onehost/edge/edge/internal/cert/budget"
)

// TestTurns says when each of three issuers (two CAs and the local one) is asked.
func TestTurns(t *testing.T) {
	first, second, local := &issuer{name: "first", acme: new(acmeCA)}, &issuer{name: "second", acme: new(acmeCA)}, &issuer{name: "local"}
	now := time.Now()
	for name, test := range map[string]struct {
		from         *issuer // of what is served
		served       bool
		begun, ended time.Duration // from now
		tries        map[string]time.Duration
		want         [3]time.Duration // from now; 0 is at once
		due          time.Duration
	}{
		"nothing is served":               {want: [3]time.Duration{0, 0, 0}},
		"nothing is served, first failed": {tries: map[string]time.Duration{"first": time.Hour}, want: [3]time.Duration{time.Hour, 0, 0}},
		"fresh, from the first":           {served: true, from: first, begun: 0, ended: 90 * time.Hour, want: [3]time.Duration{60 * time.Hour, 60 * time.Hour, 90 * time.Hour}, due: 60 * time.Hour},
		"fresh, from the second":          {served: true, from: second, begun: 0, ended: 90 * time.Hour, want: [3]time.Duration{60 * time.Hour, 60 * time.Hour, 90 * time.Hour}, due: 60 * time.Hour},
		"due, all CAs failed": {
			served: true, from: first, begun: -80 * time.Hour, ended: 10 * time.Hour,
			tries: map[string]time.Duration{"first": time.Hour, "second": 2 * time.Hour},
			want:  [3]time.Duration{time.Hour, 2 * time.Hour, 10 * time.Hour}, due: time.Hour,
		},
		"over, all CAs failed": {
			served: true, from: first, begun: -91 * time.Hour, ended: -time.Hour,
			tries: map[string]time.Duration{"first": time.Hour, "second": 2 * time.Hour},
			want:  [3]time.Duration{time.Hour, 2 * time.Hour, 0},
		},
		"the local CA stands in": {
			served: true, from: local, begun: 0, ended: 30 * time.Hour,
			tries: map[string]time.Duration{"first": time.Hour, "second": 100 * time.Hour},
			want:  [3]time.Duration{time.Hour, 100 * time.Hour, 20 * time.Hour}, due: time.Hour,
		},
		"the local CA stands in, and its own is due first": {
			served: true, from: local, begun: 0, ended: 30 * time.Hour,
			tries: map[string]time.Duration{"first": 90 * time.Hour, "second": 100 * time.Hour},
			want:  [3]time.Duration{90 * time.Hour, 100 * time.Hour, 20 * time.Hour}, due: 20 * time.Hour,
		},
		"another configuration's stands in": {served: true, begun: 0, ended: 90 * time.Hour, want: [3]time.Duration{0, 0, 90 * time.Hour}},
		"the storage can't be read":         {tries: map[string]time.Duration{"": time.Minute}, want: [3]time.Duration{0, 0, 0}, due: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			n := &managed{issuers: []*issuer{first, second, local}, tries: make(map[string]try)}
			if test.served {
				leaf := &x509.Certificate{NotBefore: now.Add(test.begun), NotAfter: now.Add(test.ended)}
				n.serving.Store(&holding{pair: &tls.Certificate{Leaf: leaf}, from: test.from})
				n.renewal = renewalOf(leaf)
			}
			for issuer, next := range test.tries {
				n.tries[issuer] = try{count: 1, next: now.Add(next)}
			}
			same := func(got time.Time, want time.Duration) bool {
				if want == 0 {
					return !got.After(now)
				}
				return got.Sub(now.Add(want)).Abs() < time.Second
			}
			for i := range n.issuers {
				if got := n.turn(i); !same(got, test.want[i]) {
					t.Errorf("issuer %d: in %v, want %v", i, got.Sub(now), test.want[i])
				}
			}
			if got := n.due(); !same(got, test.due) {
				t.Errorf("due in %v, want %v", got.Sub(now), test.due)
			}
		})
	}
}

// When the budget is spent, what the CA had against the orders is still told.
func TestASpentBudgetDoesNotHideWhatTheCASaid(t *testing.T) {
	n := &managed{tries: make(map[string]try), log: slog.Default()}
	n.note("ca", acme.Problem{Type: acme.ProblemTypeConnection, Detail: "connection refused"}, attempt{})
	for range 2 {
		n.note("ca", &budget.Spent{Issuer: "ca", Limit: "5 failed validations", Until: time.Now().Add(time.Hour)}, attempt{})
	}
	want := "connection refused (connection); " + reason(&budget.Spent{Issuer: "ca", Limit: "5 failed validations", Until: time.Now().Add(time.Hour)})
	if got := n.tried("ca").reason; got[:60] != want[:60] {
		t.Errorf("it says %q", got)
	}
}
