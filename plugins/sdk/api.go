package sdk

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/onehost/edge/plugins/internal/proto"
)

// API is edge's content API: entries, users and files, as they are asked for over HTTP (Strapi's conventions), without regard to whose they are. The plugin's
// configuration has to allow it: `may: [entries:read]` to get, `may: [entries:write]` for everything.
//
//	var goals struct{ Data []Goal }
//	err := ctx.API().Get("/goals?filters[reached][$eq]=false&populate=owner", &goals)
type API struct {
	ctx  Context
	host proto.HostClient
}

// API is edge's content API.
func (c Context) API() API { return API{ctx: c, host: c.session.host} }

// APIError is an answer that is none of success.
type APIError struct {
	Status  int    // of HTTP
	Name    string // such as ValidationError
	Message string
}

func (e *APIError) Error() string { return fmt.Sprintf("%s: %s (%d)", e.Name, e.Message, e.Status) }

// Unwrap is the error of this package that the status stands for.
func (e *APIError) Unwrap() error {
	switch {
	case e.Status == http.StatusNotFound:
		return ErrNotFound
	case e.Status == http.StatusPreconditionFailed || e.Status == http.StatusConflict:
		return ErrConflict
	case e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized:
		return ErrDenied
	case e.Status == http.StatusTooManyRequests || e.Status >= 500:
		return ErrUnavailable
	}
	return ErrInvalid
}

// Get reads what is at path, which may have a query, into out. An answer has 1 MiB at most: ask for pages.
func (a API) Get(path string, out any) error { return a.call(http.MethodGet, path, nil, out) }

// Post makes an entry: in is {"data": {…}}. The answer goes into out, unless that is nil.
func (a API) Post(path string, in, out any) error { return a.call(http.MethodPost, path, in, out) }

// Put changes an entry: what in does not name stays. The answer goes into out, unless that is nil.
func (a API) Put(path string, in, out any) error { return a.call(http.MethodPut, path, in, out) }

// Delete removes an entry; nil too when there is none.
func (a API) Delete(path string) error { return a.call(http.MethodDelete, path, nil, nil) }

func (a API) call(method, path string, in, out any) error {
	request := &proto.ApiRequest{Method: method, Path: text(path)}
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s %s: %w: %w", method, path, ErrInvalid, err)
		}
		if len(body) > maxMail {
			return fmt.Errorf("%s %s: %w: it has %d bytes, %d are allowed", method, path, ErrInvalid, len(body), maxMail)
		}
		request.Body = body
	}
	answer, err := a.host.AskContent(a.ctx, request)
	if err != nil {
		return told(method+" "+path, err)
	}
	if status := int(answer.GetStatus()); status < 200 || status > 299 {
		return fmt.Errorf("%s %s: %w", method, path, refusal(status, answer.GetBody()))
	}
	if out == nil || len(answer.GetBody()) == 0 {
		return nil
	}
	if err := json.Unmarshal(answer.GetBody(), out); err != nil {
		return fmt.Errorf("%s %s: %w: %w", method, path, ErrInvalid, err)
	}
	return nil
}

// refusal reads the error of an answer.
func refusal(status int, body []byte) *APIError {
	var said struct {
		Error struct{ Name, Message string } `json:"error"`
	}
	if json.Unmarshal(body, &said) != nil || said.Error.Name == "" {
		return &APIError{Status: status, Name: "HTTPError", Message: http.StatusText(status)}
	}
	return &APIError{Status: status, Name: said.Error.Name, Message: said.Error.Message}
}
