package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/strapi"
	"github.com/onehost/edge/core/fault"
)

// For is the api for somebody of this process who needs no token. Paths are those below the prefix.
func (a *API) For(c access.Caller) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s := a.service.Load(); s != nil {
			u, q := *r.URL, r.WithContext(context.WithValue(r.Context(), insiderKey{}, c))
			u.Path = strings.TrimSuffix(s.config.Prefix, "/") + u.Path
			if u.RawPath != "" {
				u.RawPath = strings.TrimSuffix(s.config.Prefix, "/") + u.RawPath
			}
			q.URL = &u
			r = q
		}
		a.ServeHTTP(w, r)
	})
}

// insiderKey leads to the caller of [API.For] in a request's context.
type insiderKey struct{}

// authenticate finds out who asks.
func (s *service) authenticate(r *http.Request) (access.Caller, error) {
	if c, ok := r.Context().Value(insiderKey{}).(access.Caller); ok {
		return c, nil
	}
	return s.Accounts.Authenticate(r.Context(), r)
}

// Import takes over the records of a Strapi, one a line, and tells what has become of each batch of them, in order.
func (a *API) Import(ctx context.Context, from io.Reader, told func([]strapi.Result) error) error {
	s, err := a.inService()
	if err != nil {
		return err
	}
	importer := strapi.NewImporter(strapi.Options{Store: a.Store, Set: s.set, History: s.config.History, Reserve: a.Entries.Reserve, SetHash: a.Accounts.SetHash})
	for batch, err := range strapi.Batches(from) {
		if err != nil {
			return err
		}
		results, err := importer.Import(ctx, batch)
		if err != nil {
			return err
		}
		if err := told(results); err != nil {
			return err
		}
	}
	return nil
}

// ImportFile keeps a file of a Strapi under its name, unless it is there already.
func (a *API) ImportFile(ctx context.Context, name string, size int64, from io.Reader) (kept bool, err error) {
	if _, err := a.inService(); err != nil {
		return false, err
	}
	return a.uploads.Import(ctx, name, size, from)
}

func (a *API) inService() (*service, error) {
	s := a.service.Load()
	switch {
	case s == nil:
		return nil, fmt.Errorf("there is no content API in the configuration (api): %w", fault.NotFound)
	case !s.ready.Load():
		return nil, fmt.Errorf("the content API is not ready: `edge status` says why: %w", fault.Unavailable)
	}
	return s, nil
}

// Ready reports whether the api answers: there is one, and what is kept is as its types say.
func (a *API) Ready() bool {
	s := a.service.Load()
	return s != nil && s.ready.Load()
}

// Streams is how many follow events.
func (a *API) Streams() int { return a.realtime.Streams() }
