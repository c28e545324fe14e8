package cert

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

const (
	probeInterval = time.Second      // at most one look in this time, however many names wait
	probeTimeout  = 10 * time.Second // for an answer to it
)

// reach knows whether a CA can be reached. While it can't, nothing is asked of it but its directory, which costs no
// budget, so that it can be asked often and the first order goes out within seconds of the CA's return.
type reach struct {
	mu    sync.Mutex
	asked bool  // ever
	lost  error // why the CA could not be reached the last time, nil if it could
	last  time.Time
}

// errUnreachable is why nothing was asked of a CA.
type errUnreachable struct{ reason error }

func (e *errUnreachable) Error() string { return "the CA can't be reached: " + e.reason.Error() }
func (e *errUnreachable) Unwrap() error { return e.reason }

// wait returns nil when the CA could be reached the last time or can be now. It is looked for before it is asked anything,
// too: acmez has the clients of all CAs wait while one reads its directory.
func (r *reach) wait(ctx context.Context, ca *acmeCA) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked && r.lost == nil {
		return nil
	}
	if time.Since(r.last) >= probeInterval {
		err := ca.probe(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.asked, r.lost, r.last = true, err, time.Now()
	}
	if r.lost == nil {
		return nil
	}
	return &errUnreachable{r.lost}
}

// heard notes whether an error means that the CA did not answer.
func (r *reach) heard(err error) {
	if !isUnreachable(err) || errors.Is(err, context.Canceled) { // by us: the host is gone, or edge stops
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost, r.last = err, time.Now()
}

// isUnreachable reports whether err comes from the way to the CA. What the CA itself says is an acme.Problem, and
// what comes from here (the disk, the budget) is not wrapped as a request's error.
func isUnreachable(err error) bool {
	var problem acme.Problem
	if _, ok := errors.AsType[*errUnreachable](err); ok {
		return true
	}
	if errors.As(err, &problem) {
		return problem.Status >= 500 && problem.Status != http.StatusNotImplemented
	}
	_, asked := errors.AsType[*requestError](err)
	return asked
}

// probe asks for the directory.
func (ca *acmeCA) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	_, _, err := ca.get(ctx, ca.issuer.Directory)
	return err
}
