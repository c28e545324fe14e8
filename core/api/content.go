package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/api/wire"
	"github.com/onehost/edge/core/fault"
	"github.com/uptrace/bunrouter"
)

// asked reads the query string of a request for one entry, or for a page of them.
func (s *service) asked(r *http.Request, t *schema.Type, c caller, one bool) (*query.Query, error) {
	return query.Parse(r.URL.RawQuery, t, query.Options{Set: s.set, May: c.rights, PageSize: s.config.PageSize, MaxPageSize: s.config.MaxPageSize, One: one})
}

// find answers GET /PLURAL.
func (s *service) find(t *schema.Type) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, r bunrouter.Request) error {
		c, err := s.may(r.Request, t, access.Find)
		if err != nil {
			return err
		}
		q, err := s.asked(r.Request, t, c, false)
		if err != nil {
			return err
		}
		list, err := s.Entries.Find(r.Context(), t, q, c.rights)
		if err != nil {
			return err
		}
		s.answer(w, r.Request, http.StatusOK, nil, func(b []byte) []byte {
			return wire.AppendList(b, list, q.Page, wire.FormOf(r.Request))
		})
		return nil
	}
}

// findOne answers GET /PLURAL/ID.
func (s *service) findOne(t *schema.Type) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, r bunrouter.Request) error {
		c, err := s.may(r.Request, t, access.FindOne)
		if err != nil {
			return err
		}
		q, err := s.asked(r.Request, t, c, true)
		if err != nil {
			return err
		}
		id := r.Param("documentId")
		e, err := s.Entries.FindOne(r.Context(), t, id, q, c.rights)
		if err != nil {
			return err
		}
		s.answerOne(w, r.Request, http.StatusOK, e)
		return nil
	}
}

// single answers GET /NAME of a single type.
func (s *service) single(t *schema.Type) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, r bunrouter.Request) error {
		c, err := s.may(r.Request, t, access.Find)
		if err != nil {
			return err
		}
		q, err := s.asked(r.Request, t, c, true)
		if err != nil {
			return err
		}
		e, err := s.Entries.Single(r.Context(), t, q, c.rights)
		if err != nil {
			return err
		}
		s.answerOne(w, r.Request, http.StatusOK, e)
		return nil
	}
}

// A change is what a client wants to be changed.
type change struct {
	query *query.Query // how it is answered
	data  map[string]any
	how   entries.Change
}

// change reads and judges a request that changes something. As in Strapi, the body comes first, whoever asks; then who it is; then what he asks to be shown.
func (s *service) change(w http.ResponseWriter, r *http.Request, t *schema.Type, a access.Action) (change, error) {
	var body map[string]any
	var err error
	if a != access.Delete {
		if body, err = wire.Body(w, r, 0); err != nil {
			return change{}, err
		}
	}
	c, err := s.may(r, t, a)
	if err != nil {
		return change{}, err
	}
	q, err := s.asked(r, t, c, true)
	if err != nil {
		return change{}, err
	}
	known := change{query: q, how: entries.Change{Scope: c.rights, By: c.Caller, Draft: q.Draft, Locale: q.Locale}}
	if known.how.IfMatch, err = revisionAsked(r); err != nil {
		return change{}, err
	}
	if a != access.Delete {
		known.data, err = wire.Data(body)
	}
	return known, err
}

// create answers POST /PLURAL.
func (s *service) create(t *schema.Type) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, r bunrouter.Request) error {
		c, err := s.change(w, r.Request, t, access.Create)
		if err != nil {
			return err
		}
		id, err := s.Entries.Create(r.Context(), t, c.data, c.how)
		if err != nil {
			return err
		}
		return s.answerChanged(w, r.Request, http.StatusCreated, t, id, c)
	}
}

// update answers PUT /PLURAL/ID.
func (s *service) update(t *schema.Type) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, r bunrouter.Request) error {
		c, err := s.change(w, r.Request, t, access.Update)
		if err != nil {
			return err
		}
		id := r.Param("documentId")
		if err := s.Entries.Update(r.Context(), t, id, c.data, c.how); err != nil {
			return err
		}
		return s.answerChanged(w, r.Request, http.StatusOK, t, id, c)
	}
}

// delete answers DELETE /PLURAL/ID. That nothing is there is as good.
func (s *service) delete(t *schema.Type) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, r bunrouter.Request) error {
		c, err := s.change(w, r.Request, t, access.Delete)
		if err != nil {
			return err
		}
		if _, err := s.Entries.Delete(r.Context(), t, r.Param("documentId"), c.how); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}

// put answers PUT /NAME of a single type.
func (s *service) put(t *schema.Type) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, r bunrouter.Request) error {
		c, err := s.change(w, r.Request, t, access.Update)
		if err != nil {
			return err
		}
		if _, err := s.Entries.Put(r.Context(), t, c.data, c.how); err != nil {
			return err
		}
		id, err := s.singleID(r.Context(), t)
		if err != nil {
			return err
		}
		return s.answerChanged(w, r.Request, http.StatusOK, t, id, c)
	}
}

// deleteSingle answers DELETE /NAME of a single type.
func (s *service) deleteSingle(t *schema.Type) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, r bunrouter.Request) error {
		c, err := s.change(w, r.Request, t, access.Delete)
		if err != nil {
			return err
		}
		switch id, err := s.singleID(r.Context(), t); {
		case isNotFound(err):
		case err != nil:
			return err
		default:
			if _, err := s.Entries.Delete(r.Context(), t, id, c.how); err != nil {
				return err
			}
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}

// singleID is the document id of a single type's entry, whichever version of it there is. Nobody is told what is found here.
func (s *service) singleID(ctx context.Context, t *schema.Type) (string, error) {
	e, err := s.Entries.Single(ctx, t, &query.Query{Draft: t.Drafts, Page: query.Page{Limit: 1}}, nil)
	if err != nil {
		return "", err
	}
	return e.Row.String(rows.DocumentID), nil
}

func isNotFound(err error) bool { return errors.Is(err, fault.NotFound) }

// answerChanged answers with an entry as it is now. Who may change it, but not see it, is told its id.
func (s *service) answerChanged(w http.ResponseWriter, r *http.Request, status int, t *schema.Type, id string, c change) error {
	e, err := s.Entries.FindOne(r.Context(), t, id, c.query, c.how.Scope)
	if isNotFound(err) {
		wire.JSON(w, status, map[string]any{"data": map[string]string{"documentId": id}, "meta": struct{}{}})
		return nil
	}
	if err != nil {
		return err
	}
	s.answerOne(w, r, status, e)
	return nil
}

// watch answers GET /realtime/PLURAL.
func (s *service) watch(t *schema.Type) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, r bunrouter.Request) error {
		c, err := s.may(r.Request, t, access.Find)
		if err != nil {
			return err
		}
		q, err := s.asked(r.Request, t, c, true)
		if err != nil {
			return err
		}
		valid := func(ctx context.Context) bool { return s.Accounts.Valid(ctx, c.Caller) }
		s.realtime.ServeType(w, r.Request, t, q, c.rights, valid)
		return nil
	}
}
