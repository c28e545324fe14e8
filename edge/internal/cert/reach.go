package cert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	asked bool  // and what it said is believed still
	lost  error // why the CA could not be reached the last time, nil if it could
	last  time.Time
	said  directory // the last time that it could
}

// directory is what a CA says of itself (RFC 8555, section 7.1.1), as far as it is not acmez that wants to know.
type directory struct {
	RenewalInfo string `json:"renewalInfo"` // URL, "" if the CA does not tell when to renew (RFC 9773, section 4)
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
		said, err := ca.probe(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.asked, r.lost, r.last = true, err, time.Now()
		if err == nil {
			r.said = said
		}
	}
	if r.lost == nil {
		return nil
	}
	return &errUnreachable{r.lost}
}

// renewalInfo returns the URL below which the CA tells when to renew, "" if it does not.
func (r *reach) renewalInfo() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said.RenewalInfo
}

// doubt has the directory read again before the CA is asked something the next time: it may say something else by now.
func (r *reach) doubt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = false
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

// probe asks for the directory. What answers with something else is not the CA, but perhaps what stands before it.
func (ca *acmeCA) probe(ctx context.Context) (said directory, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	body, _, err := ca.get(ctx, ca.issuer.Directory)
	if err == nil && json.Unmarshal(body, &said) != nil {
		err = fmt.Errorf("%s answers with something that is no ACME directory", ca.issuer.Directory)
	}
	return said, err
}
