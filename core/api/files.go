package api

import (
	"net/http"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/api/wire"
	"github.com/uptrace/bunrouter"
)

// fileRoutes are what Strapi's upload plugin answers: files are shown bare, and called by their number.
func (s *service) fileRoutes(r *routes) {
	t := s.set.UID(schema.FileUID)
	r.Handle(http.MethodPost, "/upload", s.upload(t))
	r.read("/upload/files", s.files(t))
	r.read("/upload/files/:id", s.file(t))
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
		files, err := s.uploads.List(r.Context(), q, c.rights)
		if err != nil {
			return err
		}
		s.answer(w, r.Request, http.StatusOK, nil, func(b []byte) []byte { return wire.AppendEntries(b, files, wire.Flat) })
		return nil
	}
}

// file answers GET /upload/files/ID.
func (s *service) file(t *schema.Type) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, r bunrouter.Request) error {
		c, err := s.may(r.Request, t, access.FindOne)
		if err != nil {
			return err
		}
		q, err := s.bare(r.Request, t, c, true)
		if err != nil {
			return err
		}
		e, err := s.uploads.One(r.Context(), r.Param("id"), q, c.rights)
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
		e, err := s.uploads.Delete(r.Context(), r.Param("id"), c.Caller, c.rights)
		if err != nil {
			return err
		}
		wire.Bare(w, http.StatusOK, e)
		return nil
	}
}

// upload answers POST /upload: with ?id=N it changes what is said of one file.
func (s *service) upload(t *schema.Type) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, r bunrouter.Request) error {
		c, err := s.may(r.Request, t, access.Create)
		if err != nil {
			return err
		}
		files, one, err := s.uploads.Upload(w, r.Request, c.Caller, c.rights)
		switch {
		case err != nil:
			return err
		case one:
			wire.Bare(w, http.StatusOK, files[0])
		default:
			wire.Send(w, http.StatusCreated, wire.AppendEntries(nil, files, wire.Flat))
		}
		return nil
	}
}
