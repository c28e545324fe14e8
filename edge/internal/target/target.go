// Package target holds the target groups: which targets there are, which of them are healthy, and which one gets the
// next request. Its words, states and reason codes are ALB's.
//
// [Groups] is carried over all configurations. A configuration is planned ([Groups.Plan]: what is new is started and
// checked) and then committed or abandoned; what did not change keeps its health, its counters and its connections.
// [Group.Choose] is on the way of every forwarded request: it reads one snapshot and some atomics, takes no lock and
// allocates nothing.
//
// In comes what decides whether and when a target gets a request. How a request gets there is proxy's business.
package target

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A State is what is known of a target, spelled as in ALB's TargetHealth.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
type State string

// The states.
const (
	Initial     State = "initial"     // not yet found healthy
	Healthy     State = "healthy"     // gets requests
	Unhealthy   State = "unhealthy"   // failed its health checks
	Unused      State = "unused"      // drained by an operator and still listed
	Draining    State = "draining"    // gets no new requests, finishes those that it has
	Unavailable State = "unavailable" // health checks are off; counts as healthy
)

// A Reason is why a target is in its state, spelled as in ALB's TargetHealth. A healthy target has none.
type Reason string

// The reasons.
const (
	RegistrationInProgress   Reason = "Elb.RegistrationInProgress"
	InitialHealthChecking    Reason = "Elb.InitialHealthChecking"
	ResponseCodeMismatch     Reason = "Target.ResponseCodeMismatch"
	TimedOut                 Reason = "Target.Timeout"
	FailedHealthChecks       Reason = "Target.FailedHealthChecks"
	DeregistrationInProgress Reason = "Target.DeregistrationInProgress"
	HealthCheckDisabled      Reason = "Target.HealthCheckDisabled"
	NotRegistered            Reason = "Target.NotRegistered"
)

// A Target is one process that answers requests, as a member of one group.
type Target struct {
	groups *Groups
	group  *Group
	name   string
	addr   Address
	key    string // addr's canonical form: the target's identity within its group
	tag    tag    // what a stickiness cookie calls it
	pool   io.Closer

	cut     context.Context
	cutNow  context.CancelFunc
	watched context.Context // until health checks are no longer wanted
	unwatch context.CancelFunc
	recheck chan struct{} // capacity 1: the health settings have changed
	idle    chan struct{} // capacity 1: draining, and the last request has ended
	ready   chan struct{} // closed when first healthy

	ending        sync.Once
	inFlight      atomic.Int64 // requests; the bit closed says that the target has ended
	draining      atomic.Bool
	troubled      atomic.Bool  // ejected or half-open: outcomes matter
	trial         atomic.Bool  // half-open, and its one request is under way
	warmSince     atomic.Int64 // UnixNano of the begin of slow start, 0 for none
	requests      atomic.Uint64
	connectErrors atomic.Uint64

	// Under Groups.mu.
	weight   int
	settings healthSettings
	health   health
	ejection ejection
	drained  bool // by an operator: stays listed
	founder  bool // registered into an empty group: no slow start until it has been healthy once
}

// closed is the bit of Target.inFlight that says that nobody may begin another request.
const closed = int64(1) << 62

// String returns the target's URL as configured.
func (t *Target) String() string { return t.name }

// Address returns the target's URL taken apart.
func (t *Target) Address() Address { return t.addr }

// Dial connects to the target. TLS, if any, is the caller's to add.
func (t *Target) Dial(ctx context.Context) (net.Conn, error) {
	return t.groups.options.Dial(ctx, t.addr.Network, t.addr.Dial)
}

// Pool returns what Options.NewPool made for this target; nil without one.
func (t *Target) Pool() io.Closer { return t.pool }

// Context is done when the target has ended: drained, or its time to drain is over. What is still under way then is
// to be cut; the pool is closed at the same moment.
func (t *Target) Context() context.Context { return t.cut }

// InFlight returns how many requests have been given to the target and are not done.
func (t *Target) InFlight() int { return int(t.inFlight.Load() &^ closed) }

// acquire begins a request, unless the target has ended.
func (t *Target) acquire() bool {
	if t.inFlight.Add(1)&closed == 0 {
		return true
	}
	t.inFlight.Add(-1)
	return false
}

// release ends a request and wakes the drain that waits for the last one.
func (t *Target) release() {
	if t.inFlight.Add(-1) == 0 && t.draining.Load() {
		poke(t.idle)
	}
}

// end makes the target unusable and cuts what is still under way. The caller does not hold Groups.mu: closing the
// pool may wait for requests whose Done needs it.
func (t *Target) end() {
	t.ending.Do(func() {
		t.inFlight.Or(closed)
		t.cutNow()
		if t.pool == nil {
			return
		}
		if err := t.pool.Close(); err != nil {
			t.groups.options.Log.Warn("closing the connections to a target", "group", t.group.name, "target", t.name, "error", err)
		}
	})
}

// warmth is the share of its weight that a target in slow start gets at a moment: from 0 to 1, 1 when it isn't in it.
func (t *Target) warmth(slowStart time.Duration) float64 {
	since := t.warmSince.Load()
	if since == 0 {
		return 1
	}
	elapsed := time.Now().UnixNano() - since
	if elapsed >= int64(slowStart) {
		t.warmSince.CompareAndSwap(since, 0)
		return 1
	}
	return float64(elapsed) / float64(slowStart)
}

// poke sends on a channel of capacity 1 that remembers one signal.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
