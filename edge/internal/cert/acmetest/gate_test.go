package acmetest_test

import (
	"errors"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/onehost/edge/edge/internal/cert/acmetest"
)

func TestWhileTheGateIsDownNobodyIsReachedAndNothingIsForgotten(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{AlwaysValid: true})
	c := newClient(t, ca, "http-01", nothing{})
	first := c.obtain(t, "a.test")

	ca.Down()
	ca.Down()
	if _, err := http.DefaultClient.Get(ca.Directory); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new connection: %v", err)
	}
	if _, err := c.GetAccount(ctx(t), c.account); err == nil {
		t.Error("an open connection survived")
	}
	ca.Up(t)
	ca.Up(t)
	if account, err := c.GetAccount(ctx(t), c.account); err != nil || account.Location != c.account.Location {
		t.Errorf("the account is now %q: %v", account.Location, err)
	}
	if issued := ca.Issued("a.test"); len(issued) != 1 || !issued[0].Equal(first.Leaf) {
		t.Errorf("%d certificates are remembered", len(issued))
	}
}

func TestTheNextRequestsOfAKindFailAndOthersPass(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{AlwaysValid: true})
	c := newClient(t, ca, "http-01", nothing{})
	ca.FailNext(1, acmetest.KindNewOrder, acmetest.Problem(http.StatusTooManyRequests, "rateLimited", "too many certificates already issued", time.Hour))

	_, err := c.try(t, "a.test")
	var problem acme.Problem
	if !errors.As(err, &problem) || problem.Type != acme.ProblemTypeRateLimited || problem.Detail != "too many certificates already issued" {
		t.Errorf("the client heard %v", err)
	}
	c.obtain(t, "a.test")
	if asked, taken := ca.Orders("a.test"), ca.OrdersTaken("a.test"); asked != 2 || taken != 1 {
		t.Errorf("%d orders were asked for and %d taken", asked, taken)
	}
}

func TestAHookDecidesAboutEachRequest(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{AlwaysValid: true})
	c := newClient(t, ca, "http-01", nothing{})
	ca.OnRequest(func(r acmetest.Request) acmetest.Action {
		if r.Kind == acmetest.KindNewOrder && r.For("bad.test") {
			return acmetest.Problem(http.StatusForbidden, "rejectedIdentifier", "not this one", 0)
		}
		return nil
	})
	if _, err := c.try(t, "bad.test"); err == nil {
		t.Error("bad.test got a certificate")
	}
	c.obtain(t, "good.test")
}

func TestWhatIsCutIsNotDoneAndACutAnswerIs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		action acmetest.Action
		answer int // to the client that asks again: RFC 8555 section 7.3
	}{
		"Cut":       {acmetest.Cut, http.StatusCreated},
		"CutAnswer": {acmetest.CutAnswer, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := acmetest.Start(t, acmetest.Options{})
			ca.FailNext(1, acmetest.KindNewAccount, test.action)
			newClient(t, ca, "http-01", nothing{})
			asked := ca.Requests(acmetest.KindNewAccount)
			if first, last := asked[0].Status, asked[len(asked)-1].Status; first != 0 || last != test.answer {
				t.Errorf("the first request was answered %d, the last %d", first, last)
			}
		})
	}
}

func TestAHeldRequestWaitsAndOthersPass(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{AlwaysValid: true})
	held, other := newClient(t, ca, "http-01", nothing{}), newClient(t, ca, "http-01", nothing{})
	goOn := make(chan struct{})
	obtained := orderHeldAtItsEnd(t, ca, held, goOn)

	other.obtain(t, "b.test")
	if finalize := ca.Requests(acmetest.KindFinalize); !finalize[0].For("a.test") || finalize[0].Status != 0 {
		t.Errorf("the held request is %+v", finalize[0])
	}
	if len(ca.Issued("a.test")) != 0 {
		t.Error("the certificate came while its order was held")
	}
	close(goOn)
	if err := <-obtained; err != nil {
		t.Error(err)
	}
}

func TestARequestUnderWayIsCutWhenTheGateGoesDown(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{})
	reached := make(chan struct{}, 10)
	ca.OnRequest(func(acmetest.Request) acmetest.Action {
		reached <- struct{}{}
		return acmetest.Hold(nil)
	})
	within := ctx(t)
	answered := make(chan error, 1)
	go func() {
		client := acme.Client{Directory: ca.Directory, HTTPClient: trusting(t, ca.RootFile)}
		_, err := client.GetDirectory(within)
		answered <- err
	}()
	<-reached
	ca.Down()
	if err := <-answered; err == nil || within.Err() != nil {
		t.Errorf("the request was not cut: %v", err)
	}
}

// orderHeldAtItsEnd orders a certificate for a.test and returns when its finalize request is held until goOn.
func orderHeldAtItsEnd(t *testing.T, ca *acmetest.CA, c *client, goOn <-chan struct{}) <-chan error {
	t.Helper()
	reached := make(chan struct{}, 10)
	ca.OnRequest(func(r acmetest.Request) acmetest.Action {
		if r.Kind != acmetest.KindFinalize || !r.For("a.test") {
			return nil
		}
		reached <- struct{}{}
		return acmetest.Hold(goOn)
	})
	obtained := make(chan error, 1)
	go func() {
		_, err := c.try(t, "a.test")
		obtained <- err
	}()
	select {
	case <-reached:
	case err := <-obtained:
		t.Fatalf("the order ended before it was held: %v", err)
	}
	return obtained
}
