package budget

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	le      = Issuer{"letsencrypt", letsEncrypt}
	staging = Issuer{"staging", letsEncryptStaging}
	own     = Issuer{"own", "https://ca.example.net/acme/directory"}

	start = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
)

// clock is a wall clock that can be set.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newBudget(t *testing.T) (*Budget, *clock) {
	return reopen(t, filepath.Join(t.TempDir(), "certificates-budget"), &clock{start})
}

func reopen(t *testing.T, dir string, c *clock) (*Budget, *clock) {
	b := New(dir, slog.New(slog.NewTextHandler(t.Output(), nil)))
	b.now = c.now
	return b, c
}

func order(t *testing.T, b *Budget, issuer Issuer, name string, kind Kind) *Spend {
	t.Helper()
	s, err := b.Order(issuer, name, kind)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func settle(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused checks that Order and Check both refuse with the same *Spent, and returns it.
func refused(t *testing.T, b *Budget, issuer Issuer, name string, kind Kind) *Spent {
	t.Helper()
	_, err := b.Order(issuer, name, kind)
	spent, ok := errors.AsType[*Spent](err)
	if !ok {
		t.Fatalf("an order for %s: %v, want it refused", name, err)
	}
	check, ok := errors.AsType[*Spent](b.Check(issuer, name, kind))
	if !ok || *check != *spent {
		t.Fatalf("Check says %v, Order %v", check, spent)
	}
	if at := spent.Until; !at.After(b.now()) {
		t.Fatalf("refused until %s, which is not after %s", at, b.now())
	}
	return spent
}

func TestEachLimitLastsAsLongAsTheCASays(t *testing.T) {
	tests := []struct {
		name   string
		issuer Issuer
		kind   Kind
		count  int
		refill time.Duration
		host   func(i int) string
		end    func(*Spend) error
	}{
		{"Let's Encrypt's certificates for the same name", le, First, 5, 34 * hour, always("www.example.com"), issued},
		{"Let's Encrypt's renewals of the same name", le, Renewal, 5, 34 * hour, always("www.example.com"), issued},
		{"Let's Encrypt's certificates below a registered domain", le, First, 50, 202 * time.Minute, everyOf("h%d.example.co.uk"), issued},
		{"Let's Encrypt's orders", le, First, 300, 36 * time.Second, everyOf("h%d.example%[1]d.com"), issued},
		{"Let's Encrypt's failed validations", le, Renewal, 5, 12 * time.Minute, always("www.example.com"), failed},
		{"edge's replacements at Let's Encrypt", le, Replacement, 5, 5 * hour, always("www.example.com"), issued},
		{"staging's failed validations", staging, Renewal, 200, 18 * time.Second, always("www.example.com"), failed},
		{"edge's orders at another CA", own, Replacement, 300, 36 * time.Second, everyOf("h%d.example.com"), issued},
		{"edge's certificates for the same name at another CA", own, Renewal, 5, 34 * hour, always("www.example.com"), issued},
		{"failed validations at another CA", own, First, 5, 12 * time.Minute, always("www.example.com"), failed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b, c := newBudget(t)
			if few := 5; test.count > 60 { // the disk would take long
				drain(t, b, test.issuer, test.host(0), test.kind, test.count-few)
				test.count = few
			}
			for i := range test.count {
				settle(t, test.end(order(t, b, test.issuer, test.host(i), test.kind)))
			}
			host := test.host(test.count)
			spent := refused(t, b, test.issuer, host, test.kind)
			if wait := spent.Until.Sub(start); wait > test.refill || wait < test.refill*95/100 {
				t.Errorf("the next one is allowed after %s, want nearly %s (%v)", wait, test.refill, spent)
			}
			c.at = spent.Until
			settle(t, test.end(order(t, b, test.issuer, host, test.kind)))
			refused(t, b, test.issuer, host, test.kind)
		})
	}
}

// drain spends n tokens of all large limits at once.
func drain(t *testing.T, b *Budget, issuer Issuer, name string, kind Kind, n int) {
	t.Helper()
	settle(t, b.change(issuer, func(g *ledger) error {
		for _, l := range heeded(issuer.limits(), kind) {
			if l.count > n {
				g.spend(&l, name, n)
			}
		}
		return nil
	}))
}

func always(name string) func(int) string { return func(int) string { return name } }

func everyOf(format string) func(int) string {
	return func(i int) string { return fmt.Sprintf(format, i) }
}

func issued(s *Spend) error { return s.Issued(start.Add(90 * day)) }
func failed(s *Spend) error { return s.Failed(1) }

func TestARefusalSaysWhichLimitAndWhenItGoesOn(t *testing.T) {
	b, _ := newBudget(t)
	for range 5 {
		order(t, b, le, "www.example.com", First)
		order(t, b, own, "www.example.com", First)
	}
	for issuer, want := range map[Issuer]string{
		le:  "letsencrypt allows 5 certificates for exactly www.example.com in 7 days, and these are spent; the next may be ordered at 2026-11-25 19:36:00 UTC",
		own: "edge asks own for no more than 5 certificates for exactly www.example.com in 7 days, so that a loop does no harm, and these are spent; the next may be ordered at 2026-11-25 19:36:00 UTC",
	} {
		if got := refused(t, b, issuer, "www.example.com", First).Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestRenewalsAreExemptFromWhatCountsNewCertificates(t *testing.T) {
	b, _ := newBudget(t)
	for i := range 50 {
		order(t, b, le, fmt.Sprintf("h%d.example.com", i), First)
	}
	refused(t, b, le, "new.example.com", First)
	order(t, b, le, "new.example.com", Renewal)
	for range 5 {
		order(t, b, le, "h0.example.com", Replacement)
	}
	order(t, b, le, "new.example.net", First)
}

func TestAddressesAndPublicSuffixesAreRegisteredDomainsToo(t *testing.T) {
	for name, want := range map[string]string{
		"www.example.com": "example.com", "*.example.co.uk": "example.co.uk", "a.b.github.io": "b.github.io", "github.io": "github.io",
		"localhost": "localhost", "192.0.2.7": "192.0.2.7", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "::ffff:192.0.2.7": "192.0.2.7",
	} {
		if got := registeredDomain(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestAFailedOrderCostsNoCertificateAndAnUnansweredOneNothing(t *testing.T) {
	b, _ := newBudget(t)
	for range 20 {
		settle(t, order(t, b, le, "www.example.com", First).Unanswered())
	}
	for range 5 {
		settle(t, order(t, b, le, "www.example.com", First).Failed(0))
	}
	for range 2 {
		settle(t, order(t, b, le, "*.example.com", First).Failed(2)) // two kinds of challenge each
	}
	settle(t, order(t, b, le, "example.com", First).Failed(1)) // what a wildcard validates
	refused(t, b, le, "*.example.com", First)
	if got := refused(t, b, le, "EXAMPLE.com.", First).Limit; got != "5 failed validations of example.com in 1 hour" {
		t.Error(got)
	}
	for range 5 {
		order(t, b, le, "www.example.com", First)
	}
	refused(t, b, le, "www.example.com", First)
}

func TestAnOrderIsSettledOnce(t *testing.T) {
	b, _ := newBudget(t)
	for range 5 {
		s := order(t, b, le, "www.example.com", First)
		settle(t, s.Issued(start.Add(90*day)))
		settle(t, s.Unanswered())
	}
	refused(t, b, le, "www.example.com", First)
}

// Let's Encrypt pauses a name until a person lifts that, after 1152 failed validations in a row.
func TestANameIsNeverPausedForFailuresInARow(t *testing.T) {
	b, c := newBudget(t)
	drain(t, b, le, "www.example.com", Renewal, 1140)
	for range 11 {
		settle(t, order(t, b, le, "www.example.com", Renewal).Failed(1))
		c.at = c.at.Add(12 * time.Minute)
	}
	spent := refused(t, b, le, "www.example.com", Renewal)
	if !strings.Contains(spent.Limit, "in a row") || spent.Until.Sub(c.at) > day {
		t.Errorf("%v", spent)
	}
	c.at = spent.Until
	settle(t, order(t, b, le, "www.example.com", Renewal).Issued(c.at.Add(90*day)))
	for range 5 {
		settle(t, order(t, b, le, "www.example.com", Replacement).Failed(1))
	}
}

func TestCertificatesOfAMinuteRenewFreelyAndALoopDoesNot(t *testing.T) {
	b, c := newBudget(t)
	for range 50 {
		settle(t, order(t, b, own, "www.example.com", Renewal).Issued(c.at.Add(time.Minute)))
		c.at = c.at.Add(40 * time.Second)
		settle(t, order(t, b, own, "other.example.com", Renewal).Failed(0))
	}
	for range 5 { // as if the process were killed in each
		order(t, b, own, "www.example.com", Renewal)
	}
	if wait := refused(t, b, own, "www.example.com", First).Until.Sub(c.at); wait > 13*time.Second {
		t.Errorf("certificates of a minute wait %s", wait)
	}
}

func TestTheCAsOwnWordIsKept(t *testing.T) {
	b, c := newBudget(t)
	settle(t, order(t, b, le, "www.example.com", Replacement).RateLimited(start.Add(3*hour)))
	b, _ = reopen(t, b.dir, c)
	spent := refused(t, b, le, "www.example.com", Replacement)
	if want := "letsencrypt limits orders for www.example.com and asked for none before 2026-11-24 13:00:00 UTC"; spent.Error() != want {
		t.Errorf("got  %s\nwant %s", spent, want)
	}
	order(t, b, le, "other.example.com", First)
	c.at = spent.Until
	settle(t, order(t, b, le, "www.example.com", Replacement).RateLimited(start.Add(1000*day)))
	if wait := refused(t, b, le, "www.example.com", First).Until.Sub(c.at); wait != week {
		t.Errorf("waits %s", wait)
	}
}

func TestAccountsAreRegisteredTenInThreeHours(t *testing.T) {
	b, c := newBudget(t)
	for range 20 {
		s, err := b.Register(le)
		settle(t, err)
		settle(t, s.Unanswered())
	}
	for range 10 {
		s, err := b.Register(le)
		settle(t, err)
		settle(t, s.Failed(0))
	}
	_, err := b.Register(le)
	if spent, ok := errors.AsType[*Spent](err); !ok || spent.Until.Sub(c.at) != 18*time.Minute || spent.Limit != "10 new accounts in 3 hours" {
		t.Error(err)
	}
}

func TestAClockThatWasWrongLocksNobodyOut(t *testing.T) {
	b, c := newBudget(t)
	c.at = start.Add(2000 * day) // wrong by years
	for range 5 {
		order(t, b, le, "www.example.com", First)
		settle(t, order(t, b, le, "other.example.com", First).Failed(1))
	}
	c.at = start
	b, _ = reopen(t, b.dir, c)
	for name, most := range map[string]time.Duration{"www.example.com": week / 5, "other.example.com": 12 * time.Minute} {
		if wait := refused(t, b, le, name, First).Until.Sub(start); wait > most {
			t.Errorf("%s waits %s", name, wait)
		}
	}
	c.at = start.Add(week/5 + time.Second)
	order(t, b, le, "www.example.com", First)
	refused(t, b, le, "www.example.com", First)
}

func TestNamesThatNoCASignsAreRefused(t *testing.T) {
	b, _ := newBudget(t)
	for _, name := range []string{"", "-", "a b", "a\nb", "bücher.example", strings.Repeat("a", 256)} {
		if _, err := b.Order(le, name, First); err == nil {
			t.Errorf("%q", name)
		}
	}
	if _, err := b.Order(Issuer{"x", "https://ca/\nend"}, "www.example.com", First); err == nil {
		t.Error("a directory of two lines")
	}
}

func TestOrdersAtOnceAllCount(t *testing.T) {
	b, c := newBudget(t)
	var wg sync.WaitGroup
	for range 4 {
		process, _ := reopen(t, b.dir, c) // as another process would
		wg.Go(func() {
			for range 25 {
				if _, err := process.Order(staging, "www.example.com", First); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	g, _, err := b.read(fileOf(b.dir, staging.Directory), staging.Directory, version{})
	settle(t, err)
	for _, l := range staging.limits() {
		if spent := g.bucket(&l, "www.example.com").full.Sub(start) / l.interval(l.window); spent != 100 && (l.spent == atOrder || l.spent == atCertificate) && l.kinds&First != 0 {
			t.Errorf("%s: %d are spent, want 100", l.id, spent)
		}
	}
}

func TestAThousandHostsAreQuickAndSmall(t *testing.T) {
	b, _ := newBudget(t)
	began := time.Now()
	g := newLedger(staging.Directory)
	g.at(start)
	for i := range 1000 {
		name := fmt.Sprintf("www.example%d.com", i)
		for _, l := range heeded(staging.limits(), First) {
			if l.spent != atRefusal {
				g.spend(&l, name, 1)
			}
		}
	}
	if err := errors.Join(os.MkdirAll(b.dir, 0o700), writeFile(fileOf(b.dir, staging.Directory), g.encode(), "")); err != nil {
		t.Fatal(err)
	}
	filled := time.Since(began)
	for i := range 10 {
		settle(t, order(t, b, staging, fmt.Sprintf("www.example%d.com", i), Renewal).Issued(start.Add(90*day)))
	}
	info, err := os.Stat(fileOf(b.dir, staging.Directory))
	if err != nil || info.Mode() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
	t.Logf("filled in %s, then 10 orders and their outcomes in %s; the file has %d KiB", filled, time.Since(began)-filled, info.Size()>>10)
	if info.Size() > 1<<20 {
		t.Errorf("the file has %d bytes", info.Size())
	}
	b.now = func() time.Time { return start.Add(10 * 365 * day) }
	order(t, b, staging, "www.example.com", First)
	if info, err = os.Stat(fileOf(b.dir, staging.Directory)); err != nil || info.Size() > 1000 {
		t.Errorf("years later the file still has %d bytes (%v)", info.Size(), err)
	}
}
