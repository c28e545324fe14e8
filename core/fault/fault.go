// Package fault gives errors a code: what kind of thing went wrong, for callers that have to act on it and for the one
// place that turns errors into HTTP. A code is an error itself, wrapped by the one that tells a person what happened:
//
//	return fmt.Errorf("delivery %s: %w", id, fault.NotFound)
//
// In come codes that more than one room needs. What an error says to people is said where it happens.
package fault

import (
	"errors"
	"strings"
)

// A Code is a kind of failure.
type Code string

// The codes. The HTTP status that one becomes stands behind it.
const (
	Invalid      Code = "invalid"      // the request can't be meant: 400
	Unauthorized Code = "unauthorized" // nobody knows who asks: 401
	Forbidden    Code = "forbidden"    // who asks may not: 403
	NotFound     Code = "not_found"    // there is no such thing: 404
	Conflict     Code = "conflict"     // there is another such thing, or it has changed: 409
	TooLarge     Code = "too_large"    // 413
	TooMany      Code = "too_many"     // asked too often: 429
	Unavailable  Code = "unavailable"  // it may work if tried again: 503
)

// Error is the code in words.
func (c Code) Error() string { return strings.ReplaceAll(string(c), "_", " ") }

// CodeOf returns the code of err, "" if it has none.
func CodeOf(err error) Code {
	code, _ := errors.AsType[Code](err)
	return code
}
