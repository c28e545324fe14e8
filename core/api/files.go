package api

import (
	"net/http"
	"strconv"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/api/wire"
	"github.com/uptrace/bunrouter"
)

// fileRoutes are what Strapi's upload plugin answers: files are shown bare, and called by their number.
func (s *service) fileRoutes(r *routes) {
	t := s.set.UID(schema.FileUID)
	r.Handle(http.MethodPost, "/upload", s.upload(t))
	r.Handle(http.MethodGet, "/upload/files", s.files(t))
	r.Handle(http.MethodGet, "/upload/files/:id", s.file(t))
	r.Handle(http.MethodDelete, "/upload/files/:id", s.deleteFile(t))
}

// bare reads the query string of a request for what is shown bare.
func (s *service) bare(r *http.Request, t *schema.Type, c caller, one bool) (*query.Query, error) {
	return query.Parse(r.URL.RawQuery, t, query.Options{Set: s.set, May: c.rights, PageSize: s.config.PageSize, MaxPageSize: s.config.MaxPageSize, One: one, Bare: true})
}

// files answers GET /upload/files.
func (s *service) files(t *schema.Type) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, r bunrouter.Request) error {
		c, err := s.may(r.Request, t, access.Find)
		if err != nil {
			return err
		}
		q, err := s.bare(r.Request, t, c, false)
		if err != nil {
			return err
		}
		list, err := s.Entries.Find(r.Context(), t, q, c.rights)
		if err != nil {
			return err
		}
		s.answer(w, r.Request, http.StatusOK, nil, func(b []byte) []byte { return wire.AppendEntries(b, list.Entries, wire.Flat) })
		return nil
	}
}

// fileNamed finds the file whose number is in the path.
func (s *service) fileNamed(r bunrouter.Request, t *schema.Type, c caller) (*entries.Entry, error) {
	n, err := strconv.ParseInt(r.Param("id"), 10, 64)
	if err != nil {
		return nil, problem.NotFound()
	}
	q, err := s.bare(r.Request, t, c, true)
	if err != nil {
		return nil, err
	}
	id, err := s.Entries.ByNumber(r.Context(), t, n)
	if err != nil {
		return nil, err
	}
	return s.Entries.FindOne(r.Context(), t, id, q, c.rights)
}

// file answers GET /upload/files/ID.
func (s *service) file(t *schema.Type) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, r bunrouter.Request) error {
		c, err := s.may(r.Request, t, access.FindOne)
		if err != nil {
			return err
		}
		e, err := s.fileNamed(r, t, c)
		if err != nil {
			return err
		}
		s.answer(w, r.Request, http.StatusOK, e, func(b []byte) []byte { return wire.AppendEntry(b, e, wire.Flat) })
		return nil
	}
}

// deleteFile answers DELETE /upload/files/ID with what the file was.
func (s *service) deleteFile(t *schema.Type) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, r bunrouter.Request) error {
		c, err := s.may(r.Request, t, access.Delete)
		if err != nil {
			return err
		}
		e, err := s.fileNamed(r, t, c)
		if err != nil {
			return err
		}
		if _, err := s.Entries.Delete(r.Context(), t, e.Row.String(rows.DocumentID), entries.Change{Scope: c.rights, By: c.Caller}); err != nil {
			return err
		}
		wire.Bare(w, http.StatusOK, e)
		return nil
	}
}

// upload answers POST /upload: with ?id=N it changes what is said of one file.
func (s *service) upload(t *schema.Type) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, r bunrouter.Request) error {
		action, status := access.Create, http.StatusCreated
		if r.URL.Query().Get("id") != "" {
			action, status = access.Update, http.StatusOK
		}
		c, err := s.may(r.Request, t, action)
		if err != nil {
			return err
		}
		ids, one, err := s.uploads.Upload(w, r.Request, c.Caller, c.rights)
		if err != nil {
			return err
		}
		files := make([]*entries.Entry, 0, len(ids))
		for _, id := range ids {
			e, err := s.Entries.FindOne(r.Context(), t, id, &query.Query{Page: query.Page{Limit: 1}}, nil)
			if err != nil {
				return err
			}
			files = append(files, e)
		}
		if one && len(files) == 1 {
			wire.Bare(w, status, files[0])
			return nil
		}
		wire.Send(w, status, wire.AppendEntries(nil, files, wire.Flat))
		return nil
	}
}
