package accounts

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/wire"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// listRoles answers GET /users-permissions/roles.
func (r *request) listRoles() error {
	if err := r.allowed("role", "find"); err != nil {
		return err
	}
	docs, err := r.Store.Find(r.Context(), store.Query{Collection: rows.Name(r.role), Sort: []store.Order{{Field: rows.Number}}, Limit: maxRoles})
	if err != nil {
		return err
	}
	all := make([]json.RawMessage, len(docs))
	for i, d := range docs {
		n, err := r.Store.Count(r.Context(), rows.Name(r.user), store.Eq("role", d.ID()))
		if err != nil {
			return err
		}
		all[i] = r.roleWith(d, "nb_users", []byte(strconv.Itoa(n)))
	}
	wire.JSON(r.ResponseWriter, http.StatusOK, map[string]any{"roles": all})
	return nil
}

// roleWith is a role as it is shown, with one thing more.
func (r *request) roleWith(d store.Document, name string, value []byte) json.RawMessage {
	b := wire.AppendEntry(nil, &entries.Entry{Type: r.role, Row: d}, wire.Flat)
	b = append(b[:len(b)-1], `,"`+name+`":`...)
	return append(append(b, value...), '}')
}

// getRole answers GET /users-permissions/roles/ID.
func (r *request) getRole() error {
	if err := r.allowed("role", "findOne"); err != nil {
		return err
	}
	d, err := r.roleByID(r.Param("id"))
	if err != nil {
		return err
	}
	tree, err := json.Marshal(r.policy.Tree(d.String("type")))
	if err != nil {
		return err
	}
	wire.JSON(r.ResponseWriter, http.StatusOK, map[string]any{"role": r.roleWith(d, "permissions", tree)})
	return nil
}

func (r *request) roleByID(id string) (store.Document, error) {
	f := store.ID(id)
	if n, err := strconv.ParseInt(id, 10, 64); err == nil {
		f = store.Eq(rows.Number, n)
	} else if !rows.IsDocumentID(id) {
		return nil, problem.NotFound()
	}
	found, err := r.Store.Find(r.Context(), store.Query{Collection: rows.Name(r.role), Filter: f, Limit: 1})
	if err != nil && fault.CodeOf(err) != fault.NotFound {
		return nil, err
	}
	if len(found) == 0 {
		return nil, problem.NotFound()
	}
	return found[0], nil
}

// permissions answers GET /users-permissions/permissions: what there is to be permitted.
func (r *request) permissions() error {
	if err := r.allowed("permissions", "getPermissions"); err != nil {
		return err
	}
	wire.JSON(r.ResponseWriter, http.StatusOK, map[string]any{"permissions": r.policy.Tree("")})
	return nil
}

// refuseRoles answers who would change roles.
func (r *request) refuseRoles() error {
	e := problem.Forbidden()
	e.Message = "Roles and what they may do stand in the configuration"
	return e
}
