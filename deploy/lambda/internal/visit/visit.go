// Package visit reads what a visitor sent, out of the event that API Gateway (HTTP API, payload format 2.0), a function URL or edge hands to a
// function, and makes answers of the same format. In come forms as urlencoded, multipart and JSON, and pages with at most one button.
package visit

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/aws/aws-lambda-go/events"
)

// Limits of what is read.
const (
	maxBody   = 6 << 20   // bytes: no event is larger
	maxText   = 256 << 10 // bytes of all names and values together
	maxFields = 200
	maxName   = 200 // bytes
)

// Visit is one request of a visitor.
type Visit struct {
	Method     string
	Path       string
	Query      map[string]string
	Client     string // the visitor's address
	Submission string // the id of edge's submission, the same for each delivery of it; or else of the request, or a new one
	Fields     []Field
	Files      []File

	header map[string]string
}

// Field is one value of a form, as UTF-8.
type Field struct{ Name, Value string }

// File is what is told of a file that was sent: its content is not read.
type File struct {
	Field, Name string
	Size        int64 // bytes
}

// Fault is what is wrong with a request.
type Fault struct {
	Status  int
	Message string // for the visitor
}

func (f *Fault) Error() string { return fmt.Sprintf("%d: %s", f.Status, f.Message) }

// Read reads an event. An error that is a [*Fault] is the visitor's, who is to be answered with the Visit that is returned nonetheless;
// any other is of an event that is no request.
func Read(event []byte) (*Visit, error) {
	var e events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, fmt.Errorf("the event is not of API Gateway's payload format 2.0: %w", err)
	}
	if e.RequestContext.HTTP.Method == "" {
		return nil, fmt.Errorf("the event is not of API Gateway's payload format 2.0: it has no requestContext.http.method")
	}
	v := &Visit{
		Method: e.RequestContext.HTTP.Method, Path: e.RawPath, Query: e.QueryStringParameters,
		Client: e.RequestContext.HTTP.SourceIP, header: make(map[string]string, len(e.Headers)),
	}
	for name, value := range e.Headers {
		v.header[strings.ToLower(name)] = value
	}
	v.Submission = cmp.Or(v.Header("x-edge-submission"), e.RequestContext.RequestID, rand.Text())
	if v.Method != http.MethodPost {
		return v, nil
	}
	if len(e.Body) > maxBody*4/3+4 {
		return v, &Fault{http.StatusRequestEntityTooLarge, "This is more than is taken."}
	}
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return v, fmt.Errorf("the event's body is not the base64 that it says it is: %w", err)
		}
	}
	return v, v.readBody(body)
}

func (v *Visit) readBody(body []byte) error {
	if len(body) == 0 {
		return nil
	}
	kind, params, err := mime.ParseMediaType(v.Header("content-type"))
	if err != nil {
		return &Fault{http.StatusUnsupportedMediaType, "Send this as a form or as JSON."}
	}
	r := reader{visit: v}
	switch kind {
	case "application/x-www-form-urlencoded":
		err = r.urlencoded(string(body))
	case "multipart/form-data":
		err = r.multipart(body, params["boundary"])
	case "application/json":
		err = r.json(body)
	default:
		return &Fault{http.StatusUnsupportedMediaType, "Send this as a form or as JSON."}
	}
	return err
}

// Header is a header's value, "" if it has none.
func (v *Visit) Header(lower string) string { return v.header[lower] }

// Value is the first value of a field, without the spaces around it.
func (v *Visit) Value(name string) string {
	for _, f := range v.Fields {
		if f.Name == name {
			return strings.TrimSpace(f.Value)
		}
	}
	return ""
}

// Last is the last segment of the path.
func (v *Visit) Last() string { return path.Base(v.Path) }

// Looks reports whether the visitor only looks.
func (v *Visit) Looks() bool { return v.Method == http.MethodGet || v.Method == http.MethodHead }

// wantsJSON reports whether a program asks.
func (v *Visit) wantsJSON() bool {
	accept := v.Header("accept")
	if strings.Contains(accept, "text/html") {
		return false
	}
	return strings.Contains(accept, "application/json") || strings.HasPrefix(v.Header("content-type"), "application/json")
}
