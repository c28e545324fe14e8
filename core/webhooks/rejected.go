package webhooks

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/onehost/edge/core/webhooks/inbox"
	"github.com/onehost/edge/core/webhooks/signature"
)

const (
	keepRejected = 20      // requests of a source
	keepBytes    = 1 << 20 // of these together
	fewRefused   = 3       // that are nobody's business
	matterAfter  = 10 * time.Minute
	matterFor    = time.Hour // after the last one
)

// Rejection is a request that was refused because it is not its source's, without the credentials that it had.
type Rejection struct {
	At        time.Time     `json:"at"`
	Client    string        `json:"client,omitempty"` // the sender's address
	RequestID string        `json:"request_id,omitempty"`
	Method    string        `json:"method"`
	URL       string        `json:"url"`
	Header    []inbox.Field `json:"header,omitempty"`
	Bytes     int           `json:"bytes"` // of the body
	Reason    string        `json:"reason"`
	Detail    string        `json:"detail"` // for the operator
}

// A rejected request is kept as it came, for the doctor. Without one there was no room for it.
type rejected struct {
	Rejection
	request *signature.Request
	bytes   int
}

func (v *visit) rejection(why *signature.Refusal) *rejected {
	r := &rejected{Rejection: Rejection{
		At: v.at, Client: v.clientText(), RequestID: v.requestID(), Method: v.request.Method, URL: withoutSecrets(v.request.URL),
		Header: fields(v.request.Header, v.source.Verify.Header), Bytes: len(v.request.Body), Reason: string(why.Reason), Detail: why.Detail,
	}}
	request := *v.request
	request.Header = v.request.Header.Clone()
	r.request, r.bytes = &request, len(request.Body)+len(request.URL)
	for name, values := range request.Header {
		r.bytes += len(name) + len(strings.Join(values, ""))
	}
	return r
}

// withoutSecrets is a URL as it may be shown.
func withoutSecrets(address string) string {
	before, query, ok := strings.Cut(address, "?")
	if !ok {
		return address
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return before + "?" + redacted
	}
	for name := range values {
		if secret(name) || strings.Contains(strings.ToLower(name), "key") {
			values[name] = []string{redacted}
		}
	}
	return before + "?" + values.Encode()
}

// A ring has the last requests of a source that were refused.
type ring struct {
	mu    sync.Mutex
	all   []*rejected // the oldest first
	bytes int
	sayer sayer
	since time.Time // when the first was refused since one was accepted
	last  time.Time
	n     int // refused since one was accepted
}

// add keeps one more, and returns how many have to be said of; 0: it was said a moment ago.
func (g *ring) add(r *rejected) (say int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.bytes > keepBytes {
		r.request, r.bytes = nil, 0
	}
	g.all, g.bytes = append(g.all, r), g.bytes+r.bytes
	for len(g.all) > keepRejected || g.bytes > keepBytes {
		g.bytes -= g.all[0].bytes
		g.all[0] = nil
		g.all = g.all[1:]
	}
	if g.n == 0 {
		g.since = r.At
	}
	g.n++
	g.last = r.At
	return g.sayer.say(r.At)
}

// accepted notes that a delivery of the source was good.
func (g *ring) accepted() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n = 0
}

// matter says that all that came was refused for a while; "": it was not.
func (g *ring) matter(now time.Time) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n < fewRefused || g.last.Sub(g.since) < matterAfter || now.Sub(g.last) > matterFor {
		return ""
	}
	return fmt.Sprintf("all %d deliveries since %s were refused (%s)", g.n, g.since.UTC().Format(time.RFC3339), g.all[len(g.all)-1].Reason)
}

// latest returns the last ones, the latest first.
func (g *ring) latest() []*rejected {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]*rejected, 0, len(g.all))
	for i := len(g.all) - 1; i >= 0; i-- {
		all = append(all, g.all[i])
	}
	return all
}

// Rejected returns the last requests that were refused because they are not the source's, the latest first; up to 20 of 1 MiB together, since the process started.
func (h *Webhooks) Rejected(source string) []Rejection {
	s := (*h.sources.Load())[source]
	if s == nil {
		return nil
	}
	latest := s.rejected.latest()
	all := make([]Rejection, len(latest))
	for i, r := range latest {
		all[i] = r.Rejection
	}
	return all
}
