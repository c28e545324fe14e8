package mongodb

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// Codes of the server's errors (src/mongo/base/error_codes.yml of MongoDB).
const (
	codeUnauthorized        = 13
	codeAuthenticationFails = 18
	codeIllegalOperation    = 20
	codeNamespaceNotFound   = 26
	codeIndexNotFound       = 27
	codeNamespaceExists     = 48
	codeConversionFailure   = 241
	codeChangeStreamFatal   = 280
	codeHistoryLost         = 286
	codeDuplicateKey        = 11000
)

// isPassing reports whether a read may be tried again: its moment can't be had any more, or an index is gone from under it.
func isPassing(code int) bool {
	switch code {
	case 112, 134, 175, 239, 246:
		return true
	}
	return false
}

// isUnavailable reports whether an error may not come again: nobody is primary, a server ends or begins, somebody was in the way, time or
// disk ran out.
func isUnavailable(code int) bool {
	switch code {
	case 6, 7, 24, 43, 46, 50, 64, 89, 91, 94, 100, 117, 189, 202, 237, 244, 251, 262, 276, 290,
		9001, 10058, 10107, 11600, 11601, 11602, 12587, 13435, 13436, 14031:
		return true
	}
	return isPassing(code)
}

// isTooLarge reports whether a document, command, pattern or transaction has too many bytes.
func isTooLarge(code int) bool {
	switch code {
	case 257, 10334, 17260, 17280, 17419, 17420, 51091:
		return true
	}
	return false
}

// spoken is an error that says all that has to be said.
type spoken struct{ error }

func (s spoken) Unwrap() error { return s.error }

// codeOf returns the code of a server's error, and what the server sent with it; 0 for all others.
func codeOf(err error) (int, bson.Raw) {
	if write, ok := errors.AsType[mongo.WriteException](err); ok {
		if len(write.WriteErrors) > 0 {
			return write.WriteErrors[0].Code, write.WriteErrors[0].Raw
		}
		if write.WriteConcernError != nil {
			return write.WriteConcernError.Code, nil
		}
	}
	if bulk, ok := errors.AsType[mongo.BulkWriteException](err); ok {
		if len(bulk.WriteErrors) > 0 {
			return bulk.WriteErrors[0].Code, bulk.WriteErrors[0].Raw
		}
		if bulk.WriteConcernError != nil {
			return bulk.WriteConcernError.Code, nil
		}
	}
	if command, ok := errors.AsType[mongo.CommandError](err); ok {
		return int(command.Code), command.Raw
	}
	return 0, nil
}

func hasLabel(err error, label string) bool {
	server, ok := errors.AsType[mongo.ServerError](err)
	return ok && server.HasErrorLabel(label)
}

// failed gives an error of the driver the code that package store says, and words without what a document holds.
func (s *Store) failed(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if done, ok := errors.AsType[spoken](err); ok {
		return done.error
	}
	if fault.CodeOf(err) != "" {
		if ctx.Err() != nil && fault.CodeOf(err) == fault.Unavailable && !errors.Is(err, ctx.Err()) {
			return fmt.Errorf("%w: %w", err, ctx.Err())
		}
		return err
	}
	code, _ := codeOf(err)
	switch {
	case code == codeUnauthorized:
		return s.unauthorized(what, err)
	case code == codeAuthenticationFails:
		return fmt.Errorf("MongoDB at %s does not accept the user and password, or the certificate, that edge was given: set them in the URI, or make the user with \"edge store init\"", s.address.hosts)
	case code == codeIllegalOperation && s.health.check(s.address.hosts) != nil:
		return s.health.check(s.address.hosts)
	case isTooLarge(code) || errors.Is(err, driver.ErrDocumentTooLarge):
		return fmt.Errorf("%s: it has more bytes than MongoDB takes: %w", what, fault.TooLarge)
	case ctx.Err() != nil:
		return fmt.Errorf("%s: the time was not enough: %w: %w", what, fault.Unavailable, ctx.Err())
	case isUnavailable(code) || code == 0 || hasLabel(err, "TransientTransactionError") || hasLabel(err, "RetryableWriteError"):
		return fmt.Errorf("%s: %s (%v): %w", what, s.address.scrub(err.Error()), s.health, fault.Unavailable)
	}
	return fmt.Errorf("%s: %w", what, err)
}

var notAuthorized = regexp.MustCompile(`not authorized on (\S+) to execute command \{ (\w+):`)

// unauthorized says who lacks what. The server's own words hold the whole command.
func (s *Store) unauthorized(what string, err error) error {
	lacks := "what it needs"
	if m := notAuthorized.FindStringSubmatch(err.Error()); m != nil {
		lacks = fmt.Sprintf("the right to %s in the database %s", m[2], m[1])
	}
	return fmt.Errorf("%s: MongoDB's user %q lacks %s: give the user its roles with \"edge store init\"", what, s.address.user, lacks)
}

// duplicate returns the conflict that a unique index has found, or the error as it is.
func duplicate(collection string, err error) error {
	code, raw := codeOf(err)
	if code != codeDuplicateKey {
		return err
	}
	d := &store.Duplicate{Collection: collection}
	pattern, ok := raw.Lookup("keyPattern").DocumentOK()
	if !ok {
		return d
	}
	elements, _ := pattern.Elements()
	for _, e := range elements {
		if e.Key() == "_id" && len(elements) == 1 {
			return d
		}
		d.Fields = append(d.Fields, given(e.Key()))
	}
	return d
}

// given is the opposite of stored.
func given(path string) string {
	if path == "_id" {
		return "id"
	}
	return path
}
