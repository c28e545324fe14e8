// Package admin is the operator's way in to a running server: an HTTP API on a unix socket, and the client that the
// command line uses. Whoever may open the socket may do everything that is here; nobody else may do anything.
//
// In comes what an operator asks of a running server. What it does about that is said in [Operations] and done by
// the rooms behind it.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/edge/internal/cert"
	"github.com/onehost/edge/edge/internal/target"
	"github.com/uptrace/bunrouter"
)

// maxBody bounds a request's body, in bytes.
const maxBody = 64 << 10

// Operations is what the API asks of the server.
type Operations interface {
	Modules
	Webhooks
	Jobs
	Content
	Accounts
	Imports
	Status() Status
	Certificates() []cert.Status
	// RenewCertificate gets a new certificate for a host at once, and returns what became of it.
	RenewCertificate(ctx context.Context, host string) error
	// CheckStore looks for damage in the store, and says all that it finds. It may take minutes.
	CheckStore(ctx context.Context) error
	Targets() []target.GroupStatus
	AddTarget(group, url string, weight int) error
	DrainTarget(group, url string) error
	RemoveTarget(group, url string) error
	// Reload reads the configuration again. What is wrong with it is in the outcome; the error is for what else fails.
	Reload(ctx context.Context) (ReloadOutcome, error)
	// Serving is false from the moment that the server is asked to stop.
	Serving() bool
}

// Status is the state of the server.
type Status struct {
	State       string         `json:"state"` // "serving" or "draining"
	Version     string         `json:"version"`
	PID         int            `json:"pid"`
	Started     time.Time      `json:"started"`
	Files       []string       `json:"files"`                  // of the configuration in use, the main one first
	Loaded      time.Time      `json:"loaded"`                 // when that was read
	ReloadError string         `json:"reload_error,omitempty"` // why the last reload changed nothing
	FilesDiffer bool           `json:"files_differ"`           // the files say something else than what is in use
	Listeners   []Listener     `json:"listeners"`
	Connections map[string]int `json:"connections"` // open ones by protocol, and "idle"
	Hosts       int            `json:"hosts"`
	Healthy     int            `json:"targets_healthy"`
	Targets     int            `json:"targets"`
	Store       Store          `json:"store"`
	Red         bool           `json:"red"`       // something needs a person soon, or visitors will notice
	Attention   []string       `json:"attention"` // what it is
}

// Store is where all that lasts is kept.
type Store struct {
	Name  string `json:"name"` // sqlite, or the servers' URI without a user
	Ready bool   `json:"ready"`
	Error string `json:"error,omitempty"` // why it is not
}

// Listener is a socket that accepts visitors or operators.
type Listener struct {
	Name    string `json:"name"` // http, https, h3, metrics, admin
	Address string `json:"address"`
}

// ReloadOutcome says what a reload did.
type ReloadOutcome struct {
	Applied   bool             `json:"applied"`
	Problems  []config.Problem `json:"problems"`  // errors when not applied, and warnings
	Unhealthy []string         `json:"unhealthy"` // new target groups that had no healthy target in time
	Changes   []string         `json:"changes"`   // of content types, in words
	Seconds   float64          `json:"seconds"`   // that it took
}

// An Error has a code for programs and a message for people.
type Error struct {
	Code    fault.Code `json:"code"`
	Message string     `json:"message"`
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the code.
func (e *Error) Unwrap() error { return e.Code }

// targetRequest is what a change to a target group says.
type targetRequest struct {
	URL    string `json:"url"`
	Weight *int   `json:"weight,omitempty"` // default 1
}

// NewHandler returns the API.
func NewHandler(o Operations) http.Handler {
	router := bunrouter.New(bunrouter.Use(answerErrors))
	router.GET("/_edge/health", Health(o.Serving))
	router.GET("/v1/status", answer(func(bunrouter.Request) (any, error) { return o.Status(), nil }))
	router.GET("/v1/certs", answer(func(bunrouter.Request) (any, error) { return o.Certificates(), nil }))
	router.POST("/v1/certs/:host/renew", answer(func(r bunrouter.Request) (any, error) { return nil, renewCertificate(o, r) }))
	router.POST("/v1/store/check", answer(func(r bunrouter.Request) (any, error) { return nil, o.CheckStore(r.Context()) }))
	router.GET("/v1/targets", answer(func(bunrouter.Request) (any, error) { return o.Targets(), nil }))
	router.POST("/v1/reload", answer(func(r bunrouter.Request) (any, error) { return o.Reload(r.Context()) }))
	router.POST("/v1/targets/:group/:change", answer(func(r bunrouter.Request) (any, error) { return nil, changeTarget(o, r) }))
	moduleRoutes(router, o)
	contentRoutes(router, o)
	accountRoutes(router, o)
	importRoutes(router, o)
	return router
}

// Health answers 200 while serving, 503 while draining.
func Health(serving func() bool) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, _ bunrouter.Request) error {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if serving() {
			_, err := io.WriteString(w, "ok\n")
			return err
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		_, err := io.WriteString(w, "draining\n")
		return err
	}
}

func renewCertificate(o Operations, r bunrouter.Request) error {
	host, err := url.PathUnescape(r.Param("host")) // bunrouter matches the path as it was sent
	if err != nil {
		return &Error{fault.Invalid, err.Error()}
	}
	return o.RenewCertificate(r.Context(), host)
}

func changeTarget(o Operations, r bunrouter.Request) error {
	var body targetRequest
	if err := decode(r.Body, &body); err != nil {
		return &Error{fault.Invalid, err.Error()}
	}
	if body.URL == "" {
		return &Error{fault.Invalid, "url is missing"}
	}
	group, err := url.PathUnescape(r.Param("group")) // bunrouter matches the path as it was sent
	if err != nil {
		return &Error{fault.Invalid, err.Error()}
	}
	switch change := r.Param("change"); change {
	case "add":
		weight := 1
		if body.Weight != nil {
			weight = *body.Weight
		}
		return o.AddTarget(group, body.URL, weight)
	case "drain":
		return o.DrainTarget(group, body.URL)
	case "remove":
		return o.RemoveTarget(group, body.URL)
	default:
		return &Error{fault.NotFound, fmt.Sprintf("a target can be added, drained or removed; not %q", change)}
	}
}

// decode reads one JSON value and nothing after it.
func decode(r io.Reader, into any) error {
	d := json.NewDecoder(io.LimitReader(r, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("the request's body is not what is wanted: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the request's body goes on after its end")
	}
	return nil
}

func answer(f func(bunrouter.Request) (any, error)) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, r bunrouter.Request) error {
		v, err := f(r)
		if err != nil {
			return err
		}
		if v == nil {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		return writeJSON(w, http.StatusOK, v)
	}
}

// answerErrors turns errors into answers: bunrouter drops them otherwise.
func answerErrors(next bunrouter.HandlerFunc) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, r bunrouter.Request) error {
		err := next(w, r)
		if err == nil {
			return nil
		}
		coded, ok := errors.AsType[*Error](err)
		if !ok {
			coded = &Error{"internal", err.Error()}
		}
		return writeJSON(w, coded.Code.Status(), coded)
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(v)
}
