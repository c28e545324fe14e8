package admin

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/forms/submissions"
	"github.com/onehost/edge/core/lambda"
	"github.com/uptrace/bunrouter"
)

// maxEvent bounds an event that a function is invoked with, in bytes, and is over Lambda's own bound.
const maxEvent = 8 << 20

// Modules is what the API asks of functions and forms.
type Modules interface {
	Functions() []lambda.Status
	// InvokeFunction returns what a function answers. An error of the function's own is in the Invocation.
	InvokeFunction(ctx context.Context, function string, event []byte) (Invocation, error)
	Forms(ctx context.Context) ([]submissions.Count, error)
	Submissions(ctx context.Context, f submissions.Filter) ([]Submission, error)
	Submission(ctx context.Context, id string) (Submission, error)
	// SubmissionEvent returns the event that its function gets, in which its files are.
	SubmissionEvent(ctx context.Context, id string) (json.RawMessage, error)
	// MarkSubmission makes spam or ham of a submission, or has it delivered again: "spam", "ham", "resend".
	MarkSubmission(ctx context.Context, id, mark string) error
}

// Invocation is what became of invoking a function.
type Invocation struct {
	RequestID string          `json:"request_id"`
	Seconds   float64         `json:"seconds"`
	Payload   json.RawMessage `json:"payload,omitempty"`
	Kind      lambda.Kind     `json:"kind,omitempty"`  // of what went wrong
	Error     string          `json:"error,omitempty"` // what went wrong
	Log       string          `json:"log,omitempty"`   // the last 4 KB
}

// Submission is what a visitor sent with a form.
type Submission struct {
	ID        string            `json:"id"`
	Form      string            `json:"form"`
	At        time.Time         `json:"at"`
	State     submissions.State `json:"state"`
	Reasons   []string          `json:"reasons,omitempty"` // why it is taken for spam
	Fields    []Field           `json:"fields"`            // in the order in which they came
	Files     []File            `json:"files,omitempty"`
	Client    string            `json:"client"` // the visitor's address
	Page      string            `json:"page,omitempty"`
	RequestID string            `json:"request_id"`
	Function  string            `json:"function,omitempty"`
	Attempts  int               `json:"attempts"`
	Next      time.Time         `json:"next,omitzero"`  // of one that is pending: when it is delivered
	Ended     time.Time         `json:"ended,omitzero"` // when it became done, dead or spam
	Error     string            `json:"error,omitempty"`
}

// Field is a field of a form, as it was sent.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// File is a file that was sent with a form.
type File struct {
	Field string `json:"field"`
	Name  string `json:"name"`
	Type  string `json:"type"`
	Size  int64  `json:"size"` // bytes
}

// NewSubmission is what operators see of a submission: all but the event that its function gets.
func NewSubmission(s submissions.Submission) Submission {
	shown := Submission{
		ID: s.ID, Form: s.Form, At: s.At, State: s.State, Reasons: s.Reasons, Fields: []Field{}, Client: s.Client, Page: s.Page,
		RequestID: s.RequestID, Function: s.Function, Attempts: s.Attempts, Ended: s.Ended, Error: s.Error,
	}
	if s.State == submissions.Pending {
		shown.Next = s.Next
	}
	for _, f := range s.Fields {
		shown.Fields = append(shown.Fields, Field(f))
	}
	for _, f := range s.Files {
		shown.Files = append(shown.Files, File(f))
	}
	return shown
}

func moduleRoutes(router *bunrouter.Router, o Operations) {
	webhookRoutes(router, o)
	jobRoutes(router, o)
	router.GET("/v1/functions", answer(func(bunrouter.Request) (any, error) { return o.Functions(), nil }))
	router.POST("/v1/functions/:name/invoke", answer(func(r bunrouter.Request) (any, error) { return invoke(o, r) }))
	router.GET("/v1/forms", answer(func(r bunrouter.Request) (any, error) { return o.Forms(r.Context()) }))
	router.GET("/v1/submissions", answer(func(r bunrouter.Request) (any, error) { return listSubmissions(o, r) }))
	router.GET("/v1/submissions/:id", answer(func(r bunrouter.Request) (any, error) { return oneSubmission(o, r) }))
	router.GET("/v1/submissions/:id/event", answer(func(r bunrouter.Request) (any, error) { return submissionEvent(o, r) }))
	router.POST("/v1/submissions/:id/:mark", answer(func(r bunrouter.Request) (any, error) { return nil, markSubmission(o, r) }))
}

func invoke(o Operations, r bunrouter.Request) (Invocation, error) {
	name, err := url.PathUnescape(r.Param("name")) // bunrouter matches the path as it was sent
	if err != nil {
		return Invocation{}, &Error{fault.Invalid, err.Error()}
	}
	event, err := io.ReadAll(io.LimitReader(r.Body, maxEvent+1))
	switch {
	case err != nil:
		return Invocation{}, &Error{fault.Invalid, err.Error()}
	case len(event) > maxEvent:
		return Invocation{}, &Error{fault.TooLarge, "the event is larger than Lambda takes"}
	case !json.Valid(event):
		return Invocation{}, &Error{fault.Invalid, "the event is no JSON"}
	}
	return o.InvokeFunction(r.Context(), name, event)
}

func listSubmissions(o Operations, r bunrouter.Request) ([]Submission, error) {
	query := r.URL.Query()
	f := submissions.Filter{Form: query.Get("form"), State: submissions.State(query.Get("state")), After: query.Get("after")}
	if since := query.Get("since"); since != "" {
		var err error
		if f.Since, err = time.Parse(time.RFC3339, since); err != nil {
			return nil, &Error{fault.Invalid, "since: " + err.Error()}
		}
	}
	if limit := query.Get("limit"); limit != "" {
		var err error
		if f.Limit, err = strconv.Atoi(limit); err != nil {
			return nil, &Error{fault.Invalid, "limit: " + err.Error()}
		}
	}
	found, err := o.Submissions(r.Context(), f)
	return found, coded(err)
}

func oneSubmission(o Operations, r bunrouter.Request) (Submission, error) {
	id, err := url.PathUnescape(r.Param("id"))
	if err != nil {
		return Submission{}, &Error{fault.Invalid, err.Error()}
	}
	found, err := o.Submission(r.Context(), id)
	return found, coded(err)
}

func submissionEvent(o Operations, r bunrouter.Request) (json.RawMessage, error) {
	id, err := url.PathUnescape(r.Param("id"))
	if err != nil {
		return nil, &Error{fault.Invalid, err.Error()}
	}
	event, err := o.SubmissionEvent(r.Context(), id)
	return event, coded(err)
}

func markSubmission(o Operations, r bunrouter.Request) error {
	id, err := url.PathUnescape(r.Param("id"))
	if err != nil {
		return &Error{fault.Invalid, err.Error()}
	}
	switch mark := r.Param("mark"); mark {
	case "spam", "ham", "resend":
		return coded(o.MarkSubmission(r.Context(), id, mark))
	default:
		return &Error{fault.NotFound, "a submission can be made spam or ham, or be resent; not " + strconv.Quote(mark)}
	}
}

// coded makes an answer of an error with a code. People are told what it says without the code, which goes beside it.
func coded(err error) error {
	if code := fault.CodeOf(err); code != "" {
		return &Error{code, strings.TrimSuffix(err.Error(), ": "+code.Error())}
	}
	return err
}

// Functions returns what is known of every function.
func (c *Client) Functions(ctx context.Context) (all []lambda.Status, err error) {
	return all, c.call(ctx, http.MethodGet, "/v1/functions", nil, &all)
}

// InvokeFunction invokes a function with an event.
func (c *Client) InvokeFunction(ctx context.Context, name string, event json.RawMessage) (i Invocation, err error) {
	return i, c.call(ctx, http.MethodPost, "/v1/functions/"+url.PathEscape(name)+"/invoke", event, &i)
}

// Forms returns how many submissions there are, by form and state.
func (c *Client) Forms(ctx context.Context) (all []submissions.Count, err error) {
	return all, c.call(ctx, http.MethodGet, "/v1/forms", nil, &all)
}

// Submissions returns those that a filter asks for, the newest first.
func (c *Client) Submissions(ctx context.Context, f submissions.Filter) (found []Submission, err error) {
	query := url.Values{}
	for name, value := range map[string]string{"form": f.Form, "state": string(f.State), "after": f.After} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if !f.Since.IsZero() {
		query.Set("since", f.Since.Format(time.RFC3339))
	}
	if f.Limit != 0 {
		query.Set("limit", strconv.Itoa(f.Limit))
	}
	return found, c.call(ctx, http.MethodGet, "/v1/submissions?"+query.Encode(), nil, &found)
}

// Submission returns one submission.
func (c *Client) Submission(ctx context.Context, id string) (found Submission, err error) {
	return found, c.call(ctx, http.MethodGet, "/v1/submissions/"+url.PathEscape(id), nil, &found)
}

// SubmissionEvent returns the event that a submission's function gets.
func (c *Client) SubmissionEvent(ctx context.Context, id string) (event json.RawMessage, err error) {
	return event, c.call(ctx, http.MethodGet, "/v1/submissions/"+url.PathEscape(id)+"/event", nil, &event)
}

// MarkSubmission makes spam or ham of a submission, or has it delivered again.
func (c *Client) MarkSubmission(ctx context.Context, id, mark string) error {
	return c.call(ctx, http.MethodPost, "/v1/submissions/"+url.PathEscape(id)+"/"+mark, nil, nil)
}
