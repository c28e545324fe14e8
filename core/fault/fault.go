// Package fault gives errors a code: what kind of thing went wrong, for callers that have to act on it and for the one
// place that turns errors into HTTP. A code is an error itself, wrapped by the one that tells a person what happened:
//
//	return fmt.Errorf("delivery %s: %w", id, fault.NotFound)
//
// In come codes that more than one room needs. What an error says to people is said where it happens.
package fault

import (
	"errors"
	"net/http"
	"strings"
)

// A Code is a kind of failure.
type Code string

// The codes.
const (
	Invalid      Code = "invalid"      // the request can't be meant
	Unauthorized Code = "unauthorized" // nobody knows who asks
	Forbidden    Code = "forbidden"    // who asks may not
	NotFound     Code = "not_found"    // there is no such thing
	Conflict     Code = "conflict"     // there is another such thing, or it has changed
	TooLarge     Code = "too_large"    // more than is taken
	TooMany      Code = "too_many"     // asked too often
	Unavailable  Code = "unavailable"  // it may work if tried again
)

// Error is the code in words.
func (c Code) Error() string { return strings.ReplaceAll(string(c), "_", " ") }

// Status is the HTTP status that the code becomes: 500 for what is no code.
func (c Code) Status() int {
	switch c {
	case Invalid:
		return http.StatusBadRequest
	case Unauthorized:
		return http.StatusUnauthorized
	case Forbidden:
		return http.StatusForbidden
	case NotFound:
		return http.StatusNotFound
	case Conflict:
		return http.StatusConflict
	case TooLarge:
		return http.StatusRequestEntityTooLarge
	case TooMany:
		return http.StatusTooManyRequests
	case Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// CodeOf returns the code of err, "" if it has none.
func CodeOf(err error) Code {
	code, _ := errors.AsType[Code](err)
	return code
}
