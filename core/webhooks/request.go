package webhooks

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/onehost/edge/core/webhooks/inbox"
)

var (
	errTooLarge = errors.New("a delivery is too large")
	errCut      = errors.New("a delivery did not arrive whole")
	errMethod   = errors.New("deliveries are sent by POST")
)

// readBody reads a body of at most limit bytes as it came. What says that it has more is not read.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, errTooLarge
	}
	control := http.NewResponseController(w)
	if control.SetReadDeadline(time.Now().Add(readTimeout)) == nil {
		defer func() { _ = control.SetReadDeadline(time.Time{}) }() // a connection that is gone needs none
	}
	var b bytes.Buffer
	if r.ContentLength > 0 {
		b.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(r.Body, limit+1))
	if _, cut := errors.AsType[*http.MaxBytesError](err); cut || n > limit {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, errCut
	}
	return b.Bytes(), nil
}

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
