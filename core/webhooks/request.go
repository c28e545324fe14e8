package webhooks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/webhooks/inbox"
)

var (
	errTooLarge = errors.New("a delivery is too large")
	errCut      = errors.New("a delivery did not arrive whole")
	errCrowded  = fmt.Errorf("too many bytes of deliveries are in memory: %w", fault.Unavailable)
	errMethod   = errors.New("deliveries are sent by POST")
)

// readBody reads a body of at most limit bytes as it came. What says that it has more is not read. Memory is taken for what has come, and not for what a head promises.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, room *bodyRoom) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, errTooLarge
	}
	control := http.NewResponseController(w)
	if control.SetReadDeadline(time.Now().Add(readTimeout)) == nil {
		defer func() { _ = control.SetReadDeadline(time.Time{}) }() // a connection that is gone needs none
	}
	b := make([]byte, 0, min(max(r.ContentLength, 0), smallBody)+bytes.MinRead)
	for {
		if len(b) == cap(b) {
			more := min(2*int64(cap(b)), limit+bytes.MinRead)
			if !room.take(more - int64(cap(b))) {
				return nil, errCrowded
			}
			b = append(make([]byte, 0, more), b...)
		}
		n, err := r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if _, cut := errors.AsType[*http.MaxBytesError](err); cut || int64(len(b)) > limit {
			return nil, errTooLarge
		}
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return nil, errCut
		}
	}
}

const (
	smallBody = 64 << 10  // bytes for which there is always room
	maxBodies = 128 << 20 // bytes of larger bodies in memory together
)

// bodies are the larger bodies in memory. Anybody may send them: until they are verified they are a stranger's.
type bodies struct{ bytes atomic.Int64 }

// A bodyRoom is what one request has of it.
type bodyRoom struct {
	all   *bodies
	bytes int64
}

// take has room for more bytes; false: there is none.
func (m *bodyRoom) take(n int64) bool {
	if m.all.bytes.Add(n) > maxBodies {
		m.all.bytes.Add(-n)
		return false
	}
	m.bytes += n
	return true
}

// leave gives all of it back.
func (m *bodyRoom) leave() { m.all.bytes.Add(-m.bytes) }

// address is the URL that a source asked for, or the one that it was given.
func address(r *http.Request, given string) string {
	if given != "" {
		if r.URL.RawQuery != "" && !strings.Contains(given, "?") {
			return given + "?" + r.URL.RawQuery
		}
		return given
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return scheme + r.Host + r.URL.RequestURI()
}

const redacted = "[redacted]"

// fields are the fields of a header in the order of their names, without what is secret in them: credentials by their names, and the field of that name.
func fields(h http.Header, credential string) []inbox.Field {
	all := make([]inbox.Field, 0, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			if secret(name) || strings.EqualFold(name, credential) {
				value = redacted
			}
			all = append(all, inbox.Field{Name: name, Value: value})
		}
	}
	return all
}

// secret reports whether a field has a credential in it, by its name. A signature is none: it is good for one delivery only.
func secret(name string) bool {
	name = strings.ToLower(name)
	for _, part := range [...]string{"authorization", "cookie", "token", "secret", "password", "api-key", "apikey"} {
		if strings.Contains(name, part) && !strings.Contains(name, "signature") && !strings.Contains(name, "idempotency") {
			return true
		}
	}
	return false
}
