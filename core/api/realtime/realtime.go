// Package realtime tells those who follow a content type what happens to its entries, as server-sent events (WHATWG HTML, section 9.2).
//
//	event: update
//	id: POSITION
//	data: {"documentId": "…", "entry": {…}}
//
// An event is create, update, publish or delete, of an entry that the follower's query asks for and that he may find; the entry is as a list would show it now, which
// may be later than the event. What he may not see, or has not asked for, does not happen for him:
//
//   - An entry that begins to be what he asks for, or may see, is an update or a publish: who does not know the entry adds it.
//   - One that ceases to be is a delete. Where edge does not know how the entry was before, it is one when a field has changed that the query's filters look at,
//     and he may find the entry: then he may learn of one that he did not know. That he may not find it any more is told when the change before is still known here.
//   - What happens to an entry that another one refers to is no event of that other one.
//
// Who comes again with the Last-Event-ID of what he heard last misses nothing that is kept. When that is not kept any more he hears
// "event: reset": he reads his list anew. An event may come twice.
//
// In comes how changes reach who follows them. What a request asks for and who may, the api has decided before; entries, and their form, come from there too.
package realtime

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/api/wire"
	"github.com/onehost/edge/core/store"
)

// Limits.
const (
	MaxStreams    = 2000
	MaxPerAddress = 20               // streams of one IPv4 address, or of one /64 of IPv6, which is one customer's
	MaxAge        = 30 * time.Minute // of a stream
	kept          = 4096             // changes in memory: who is further behind is cut off
	maxCatchUps   = 16               // feeds of those who come again after what is in memory
	heartbeat     = 15 * time.Second
	validity      = 30 * time.Second // between two questions whether a caller may go on
	patience      = 30 * time.Second // for a client to take what is written
)

// Options are what a Realtime needs.
type Options struct {
	Store   store.Store
	Entries *entries.Entries
	Log     *slog.Logger
}

// A Realtime follows the collection of changes and tells those who have asked.
type Realtime struct {
	store    store.Store
	entries  *entries.Entries
	log      *slog.Logger
	set      atomic.Pointer[schema.Set]
	ring     *ring
	catchUps chan struct{}   // taken by who follows a feed of his own
	drained  context.Context // ends with Drain
	drain    context.CancelFunc

	mu        sync.Mutex
	streams   int
	addresses map[netip.Prefix]int
	renewed   chan struct{} // closed when there are other types
}

// New returns a Realtime that tells nothing before Run.
func New(o Options) *Realtime {
	r := &Realtime{
		store: o.Store, entries: o.Entries, log: o.Log, ring: newRing(),
		catchUps: make(chan struct{}, maxCatchUps), addresses: map[netip.Prefix]int{}, renewed: make(chan struct{}),
	}
	for range maxCatchUps {
		r.catchUps <- struct{}{}
	}
	r.drained, r.drain = context.WithCancel(context.Background())
	return r
}

// Use says which types there are. Streams under way end: those who follow come again, with the rights that they have then.
func (r *Realtime) Use(set *schema.Set) {
	r.set.Store(set)
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.renewed)
	r.renewed = make(chan struct{})
}

// Streams is how many there are.
func (r *Realtime) Streams() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.streams
}

// Drain ends all streams, for good: those who follow come again, to the process that takes this one's place.
func (r *Realtime) Drain() { r.drain() }

// ServeType tells what happens to the entries of a type that q asks for and s may find, until the request ends, or the stream does: after [MaxAge] at most, when valid, which
// is asked now and then, says that the caller may not go on, or with [Realtime.Use]. A nil valid is always true.
func (r *Realtime) ServeType(w http.ResponseWriter, req *http.Request, t *schema.Type, q *query.Query, s access.Scope, valid func(context.Context) bool) {
	f, err := r.follower(t, q, s)
	if err != nil {
		wire.Error(w, req, r.log, err)
		return
	}
	from := addressOf(req)
	renewed, err := r.enter(from)
	if err != nil {
		wire.Error(w, req, r.log, err)
		return
	}
	defer r.leave(from)
	ctx, cancel := context.WithTimeout(req.Context(), lifetime())
	defer cancel()
	defer context.AfterFunc(r.drained, cancel)()
	st := &stream{
		Realtime: r, follower: f, out: w, control: http.NewResponseController(w), form: wire.FormOf(req),
		valid: valid, last: req.Header.Get("Last-Event-ID"), renewed: renewed,
	}
	st.run(ctx)
}

// addressOf is who asks, as far as streams are counted.
func addressOf(r *http.Request) netip.Prefix {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{} // all of them together
	}
	address = address.Unmap().WithZone("")
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(address, bits).Masked()
}

// enter counts a stream, unless there are too many. It returns what is closed when there are other types.
func (r *Realtime) enter(from netip.Prefix) (renewed <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.drained.Err() != nil:
		return nil, busy("This server is going down: try again")
	case r.addresses[from] >= MaxPerAddress:
		return nil, problem.TooMany(validity)
	case r.streams >= MaxStreams:
		return nil, busy("As many follow what happens as can: try again later")
	}
	r.streams++
	r.addresses[from]++
	return r.renewed, nil
}

func (r *Realtime) leave(from netip.Prefix) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.streams--
	if r.addresses[from]--; r.addresses[from] == 0 {
		delete(r.addresses, from)
	}
}

func busy(message string) error {
	return &problem.Error{Status: http.StatusServiceUnavailable, Name: "ServiceUnavailableError", Message: message, Details: problem.None{}, RetryAfter: 2 * time.Second}
}
