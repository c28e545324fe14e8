// Package problem is what went wrong, in the words and the form in which Strapi says it: clients read the name, the message and the details.
//
//	{"data": null, "error": {"status": 400, "name": "ValidationError", "message": "…", "details": {…}}}
//
// In come kinds of problems that more than one room of the api has. Where one is found, that room says what it is.
package problem

import (
	"fmt"
	"net/http"
	"time"

	"github.com/onehost/edge/core/fault"
)

// Error is an answer other than what was asked for.
type Error struct {
	Status     int           // of HTTP
	Name       string        // such as ValidationError
	Message    string        // for people; it may be shown to anybody
	Details    any           // what becomes JSON; nil: the answer has none
	RetryAfter time.Duration // when to try again; 0: not said
	Code       fault.Code    // "": what Status means
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives the code that the status stands for.
func (e *Error) Unwrap() error {
	if e.Code != "" {
		return e.Code
	}
	for _, code := range []fault.Code{fault.Invalid, fault.Unauthorized, fault.Forbidden, fault.NotFound, fault.Conflict, fault.TooLarge, fault.TooMany, fault.Unavailable} {
		if code.Status() == e.Status {
			return code
		}
	}
	return nil
}

// None is details that say nothing: {}.
type None struct{}

// Field is what is wrong with one value of the data.
type Field struct {
	Path    []any  `json:"path"` // names, and places in lists
	Message string `json:"message"`
	Name    string `json:"name"`
	Value   any    `json:"value,omitempty"` // what was sent; [Null] when it became none
}

// Null is a value that is shown as null rather than left out.
type Null struct{}

// MarshalJSON writes null.
func (Null) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// Key names what a request must not, or does not, have.
type Key struct {
	Key    string `json:"key"`
	Path   any    `json:"path"`            // where it stands, a string, or nil when nothing is there
	Source string `json:"source"`          // query or body
	Param  string `json:"param,omitempty"` // of the query: filters, sort, fields, populate
}

// Validation is a request that can't be meant.
func Validation(format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Name: "ValidationError", Message: fmt.Sprintf(format, args...), Details: None{}}
}

// Fields is data of which at least one value is wrong.
func Fields(wrong ...Field) *Error {
	for i := range wrong {
		wrong[i].Name = "ValidationError"
		if wrong[i].Path == nil {
			wrong[i].Path = []any{}
		}
	}
	e := Validation("%d errors occurred", len(wrong))
	if len(wrong) == 1 {
		e.Message = wrong[0].Message
	}
	e.Details = map[string][]Field{"errors": wrong}
	return e
}

// InvalidKey is a key that is unknown, or that the caller may not use.
func InvalidKey(k Key) *Error {
	e := Validation("Invalid key %s", k.Key)
	if path, ok := k.Path.(string); ok && path != k.Key {
		e.Message += " at " + path
	}
	e.Details = k
	return e
}

// Application is a request that makes sense, and is refused all the same.
func Application(format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Name: "ApplicationError", Message: fmt.Sprintf(format, args...), Details: None{}}
}

// Unauthorized is a caller who does not say who he is in a way that can be believed.
func Unauthorized(message string) *Error {
	return &Error{Status: http.StatusUnauthorized, Name: "UnauthorizedError", Message: message, Details: None{}}
}

// Forbidden is a caller who may not.
func Forbidden() *Error {
	return &Error{Status: http.StatusForbidden, Name: "ForbiddenError", Message: "Forbidden", Details: None{}}
}

// NotFound is what is not there, or not for this caller to see.
func NotFound() *Error {
	return &Error{Status: http.StatusNotFound, Name: "NotFoundError", Message: "Not Found", Details: None{}}
}

// TooMany is a caller who asks too often.
func TooMany(after time.Duration) *Error {
	return &Error{Status: http.StatusTooManyRequests, Name: "RateLimitError", Message: "Too many requests, please try again later.", Details: None{}, RetryAfter: after}
}

// TooLarge is a body with more bytes than are taken.
func TooLarge() *Error {
	return &Error{Status: http.StatusRequestEntityTooLarge, Name: "PayloadTooLargeError", Message: "request entity too large"}
}

// Changed is an entry that is not what the caller thinks it is (RFC 9110, section 13.1.1).
func Changed() *Error {
	return &Error{Status: http.StatusPreconditionFailed, Name: "PreconditionFailedError", Message: "The entry has changed since it was read: read it again", Details: None{}, Code: fault.Conflict}
}
