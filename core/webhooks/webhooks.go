// Package webhooks receives webhooks: it verifies that a delivery is its source's (package signature), keeps it (package inbox), and says so to the source.
// Package dispatch delivers what was kept to plugins.
//
// In come requests of anybody: nothing in them is believed before the signature is verified, all of it is bounded, and nobody is told which part of it
// was wrong; the operator is, by [Webhooks.Doctor].
//
// # The way of a delivery
//
// Its exact bytes are read, encoded as they came. A handshake, by which a provider finds out whether this address is yours, is answered at once. Everything
// else is verified, kept by one durable write, and acknowledged:
//
//   - 200: it is kept, or was before: providers send again what they did not hear of. A source with sync gets its plugin's answer, after the delivery was
//     kept; when that takes too long, what its provider knows for "it comes later".
//   - 202: the store is away, and it is on the disk of this host (package spool). [Webhooks.Run] brings it into the inbox when the store is back, which
//     removes repeats. Until a source's last delivery there has been brought in, all that come of it wait for that a little, and then go the same way, so that their
//     order stays.
//   - 401: it is not the source's. 413: it is too large. 400: it did not arrive whole. 404, 405: there is no such source, or method.
//   - 503 with Retry-After: it could not be kept anywhere, the inbox has as many of its source as it may (max_kept), or a certificate could not be fetched.
//
// So whatever got a 2xx is on a disk. All of it together takes less than the ten seconds that providers wait at most, but for the source's own slowness in sending.
//
// # What is not kept
//
// Credentials that are sent as they are (Authorization, cookies, the field of bearer) are verified and left out.
package webhooks

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/webhooks/dispatch"
	"github.com/onehost/edge/core/webhooks/inbox"
	"github.com/onehost/edge/core/webhooks/signature"
	"github.com/onehost/edge/core/webhooks/spool"
)

// Inbox is where deliveries are kept: [*inbox.Inbox].
type Inbox interface {
	Keep(ctx context.Context, d inbox.Delivery) (kept inbox.Delivery, repeat bool, err error)
}

// Dispatcher handles a delivery whose source waits: [*dispatch.Dispatcher].
type Dispatcher interface {
	Now(ctx context.Context, kept inbox.Delivery, wait time.Duration) (*dispatch.Answer, error)
}

// Options are what Webhooks needs.
type Options struct {
	Inbox    Inbox
	Dispatch Dispatcher
	Spool    *spool.Spool // nil: what can't be kept is refused
	Client   *http.Client // fetches certificates and confirms subscriptions; nil for signature's own
	Log      *slog.Logger
}

// Webhooks is the http.Handler of all sources. The last segment of a path is the source's name: POST …/NAME. RemoteAddr is who asks, X-Request-Id the
// request's id, and Host and TLS say under which address.
type Webhooks struct {
	inbox    Inbox
	dispatch Dispatcher
	spool    *spool.Spool
	client   *http.Client
	log      *slog.Logger
	sources  atomic.Pointer[map[string]*source]
	bodies   bodies
	away     atomic.Bool   // the store could not keep a delivery: while there are any in the spool, all go there
	spooled  chan struct{} // holds one when there is something new in the spool
	backoff  backoff
	patience time.Duration
	stuck    sayer // that what is in the spool can't be kept
}

// New returns the handler, with no source before the first [Plan.Commit].
func New(o Options) *Webhooks {
	h := &Webhooks{
		inbox: o.Inbox, dispatch: o.Dispatch, spool: o.Spool, client: o.Client, log: o.Log,
		spooled: make(chan struct{}, 1), backoff: backoff{first: firstPause, most: longestPause}, patience: patience,
	}
	h.sources.Store(&map[string]*source{})
	return h
}

// A source is one source as it is configured, and what is known of it since the process started.
type source struct {
	config.Webhook
	name     string
	verifier *signature.Verifier
	*history
}

// A history is what is known of a source, whatever is configured.
type history struct {
	counts   counts
	rejected ring
	lost     sayer // that deliveries could not be kept
	unsure   sayer // that deliveries could not be verified
}

// Plan is a configuration that is ready to be taken into service.
type Plan struct {
	webhooks *Webhooks
	next     map[string]*source
}

// Plan prepares a configuration. A source that did not change keeps the certificates that were fetched for it.
func (h *Webhooks) Plan(cfg *config.Config) (*Plan, error) {
	before := *h.sources.Load()
	p := &Plan{webhooks: h, next: make(map[string]*source, len(cfg.Webhooks))}
	for _, name := range slices.Sorted(maps.Keys(cfg.Webhooks)) {
		next := &source{Webhook: cfg.Webhooks[name], name: name, history: new(history)}
		old := before[name]
		if old != nil {
			next.history = old.history
		}
		if old != nil && reflect.DeepEqual(old.Webhook, next.Webhook) {
			next.verifier = old.verifier
		} else {
			var err error
			if next.verifier, err = signature.New(next.Webhook, h.client); err != nil {
				return nil, fmt.Errorf("webhooks.%s: %w", name, err)
			}
		}
		p.next[name] = next
	}
	return p, nil
}

// Commit takes the plan into service. A request keeps the source that it began with.
func (p *Plan) Commit() { p.webhooks.sources.Store(&p.next) }

// Check says what is wrong with the sources of a configuration, as far as only this room can know.
func Check(cfg *config.Config) []config.Problem { return signature.Check(cfg) }

// Attention returns what needs a person, by what it is about: a source's name, or "spool".
func (h *Webhooks) Attention() map[string]string {
	matters := make(map[string]string)
	for name, s := range *h.sources.Load() {
		if why := s.rejected.matter(time.Now()); why != "" {
			matters[name] = fmt.Sprintf("webhooks of %s: %s; see edge webhooks doctor %s", name, why, name)
		}
	}
	if h.spool != nil {
		if why := h.spool.Trouble(); why != "" {
			matters["spool"] = "webhooks: " + why
		}
	}
	return matters
}
