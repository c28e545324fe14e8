package proxy

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/target"
)

// maxAttempts is how many targets are asked at most.
const maxAttempts = 3

// maxStale is how many connections may be found not to be fit for use, for one request, beside those attempts.
const maxStale = 32

// smallBody is up to how many bytes of a body are read before a target is chosen.
const smallBody = 16 << 10

// Options is what a Proxy works with.
type Options struct {
	// PublicPort is what visitors reach https under, for X-Forwarded-Port; 0: the port that they are connected to.
	PublicPort int
	Log        *slog.Logger // told, once a minute for each target, of answers that are refused; nil: nobody is
}

// A Proxy forwards exchanges to target groups.
type Proxy struct {
	publicPort string
	log        *slog.Logger
	buffers    buffers
	attempts   sync.Pool // of *attempt
}

// New returns a Proxy. The connections are the targets' own: give [NewPool] to target.NewGroups.
func New(o Options) *Proxy {
	p := &Proxy{log: o.Log, attempts: sync.Pool{New: func() any { return new(attempt) }}}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if o.PublicPort != 0 {
		p.publicPort = strconv.Itoa(o.PublicPort)
	}
	return p
}

// Forward returns the action forward: a group is drawn by weight (ALB's 0 to 999), and one of its targets answers.
// group gives a group by name, nil for an unknown one, as target.Plan's Group does.
func (p *Proxy) Forward(group func(name string) *target.Group, weights map[string]int) (exchange.Handler, error) {
	f := &forward{proxy: p}
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		g := group(name)
		if g == nil {
			return nil, fmt.Errorf("there is no target group %q", name)
		}
		if weights[name] > 0 {
			f.groups = append(f.groups, g)
			f.total += weights[name]
			f.upTo = append(f.upTo, f.total)
		}
	}
	return f, nil
}

// forward is the action of one rule.
type forward struct {
	proxy  *Proxy
	groups []*target.Group
	upTo   []int // the sum of the weights of a group and those before it
	total  int
}

// draw returns the group for a request, nil if none has a weight: the one that has a target to which the visitor is
// stuck, else one by lot. Groups share the default name of the cookie, so that by lot alone a visitor would be given
// another group's cookie, and lose his target, with every other request.
func (f *forward) draw(fields exchange.Fields) *target.Group {
	if len(f.groups) < 2 {
		if f.total == 0 {
			return nil
		}
		return f.groups[0]
	}
	for _, g := range f.groups {
		if value := cookie(fields, g.CookieName()); value != "" && g.Remembers(value) {
			return g
		}
	}
	n := rand.IntN(f.total)
	for i, upTo := range f.upTo {
		if n < upTo {
			return f.groups[i]
		}
	}
	return nil // cannot be: n < total
}

var errNoTarget = errors.New("proxy: no target to send the request to")

// ServeExchange forwards x.
func (f *forward) ServeExchange(x *exchange.Exchange) {
	failed := &failure{status: 503, reason: "no_healthy_target", err: errNoTarget}
	group := f.draw(x.Request.Fields)
	if group == nil {
		failed.answer(x)
		return
	}
	f.proxy.addForwarded(x)
	how := manner{patience: gatePatience}
	if isSmall(x) {
		room := f.proxy.buffers.get()
		defer f.proxy.buffers.put(room)
		how.small = room[:x.Request.Length]
		if _, err := io.ReadFull(x.Request.Body, how.small); err != nil {
			visitorFailed(err).answer(x)
			return
		}
	}
	choice := target.Choice{Cookie: cookie(x.Request.Fields, group.CookieName())}
	for stale := 0; len(choice.Tried) < maxAttempts && stale < maxStale; {
		lease, ok := group.Choose(choice)
		if !ok {
			break
		}
		if failed = f.proxy.try(x, lease, how); failed == nil {
			return
		}
		if !failed.again {
			break
		}
		if failed.stale && !(failed.sent && how.anew) {
			stale++
			how.anew = failed.sent // lest a request that kills its app is sent on one connection after the other
			continue
		}
		if failed.later {
			how.patience = 0 // the visitor has waited
		}
		choice.Tried = append(choice.Tried, lease.Target)
	}
	failed.answer(x)
}

// cookie returns the value of a cookie, "" if it was not sent (RFC 6265, section 5.4).
func cookie(fields exchange.Fields, name string) string {
	if name == "" {
		return ""
	}
	for v := range fields.Values("Cookie") {
		for pair := range strings.SplitSeq(v, ";") {
			if n, value, ok := strings.Cut(strings.TrimLeft(pair, " "), "="); ok && n == name {
				return value
			}
		}
	}
	return ""
}

// isSmall reports whether the request has a small body whose length is known, which is read before a target is chosen: so it
// leaves with the request's head, and may be sent once more. A body that the target must be asked for is none of them.
func isSmall(x *exchange.Exchange) bool {
	return x.Request.Length > 0 && x.Request.Length <= smallBody && !expectsContinue(x)
}

// A manner is how a request is tried.
type manner struct {
	small    []byte        // its body, where it is small
	patience time.Duration // for a place at the target
	anew     bool          // on a connection that is not kept from before
}

// try lets one target answer, once it has a place for the request. It returns nil when the answer is complete.
func (p *Proxy) try(x *exchange.Exchange, lease target.Lease, how manner) *failure {
	var unconnected error
	defer func() {
		if unconnected != nil {
			lease.Failed(unconnected)
		} else {
			lease.Done(target.Unjudged)
		}
	}()
	x.Record.Target = lease.Target.String()
	x.Record.Tries++

	w, ok := lease.Target.Pool().(*pool)
	if !ok {
		return &failure{status: 502, reason: "target_connect_error", err: errors.New("proxy: the groups were made without NewPool")}
	}
	if wantsSwitch(x) && !w.switches() {
		return &failure{status: 502, reason: "target_cannot_upgrade", err: exchange.ErrNoUpgrade}
	}
	place, err := w.gate.enter(x, x.Client, how.patience)
	if err != nil {
		return notAdmitted(err)
	}
	defer place.leave()
	a := p.attempts.Get().(*attempt)
	if !a.begin(x, how, &w.guard) {
		return &failure{status: 502, reason: "target_drained", err: errDrained, again: true}
	}
	ans, err := w.send(a)
	x.Record.Connect, x.Record.Wait = a.progress.connect, a.progress.wait
	if err != nil {
		a.end()
		if connect := (*connectError)(nil); errors.As(err, &connect) {
			unconnected = err
		}
		failed := a.failed(err)
		p.report(failed, x, w)
		return failed
	}
	lease.Reached() // now: the answer may take hours to end, and what its end said of the target then would be old
	x.Record.TargetCode = ans.status
	if value := lease.SetCookie(x.Scheme == "https"); value != "" {
		ans.fields.Add("Set-Cookie", value)
	}
	if ans.status == 101 {
		place.leave() // what comes now may last for days
	}
	failed := p.deliver(a, ans)
	p.report(failed, x, w)
	if a.ctx == nil { // nobody can have kept it
		a.forget()
		p.attempts.Put(a)
	}
	return failed
}

// report says why an answer was refused: which of its app's bytes edge does not take a sysadmin could not guess.
func (p *Proxy) report(f *failure, x *exchange.Exchange, w *pool) {
	if f == nil || f.reason != badResponse {
		return
	}
	now := time.Now().Unix()
	if last := w.reported.Load(); now-last < 60 || !w.reported.CompareAndSwap(last, now) {
		return
	}
	p.log.Warn("the answer of a target was refused", "target", x.Record.Target, "id", x.ID, "error", f.err)
}
