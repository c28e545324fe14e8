package signature

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
)

// anybody is the scheme of a source that signs nothing.
type anybody struct{}

func (anybody) verify(context.Context, *Request) error { return nil }

// shared are secrets that are sent as they are. They are compared by their hashes: how long that takes says neither how much was right, nor how long they are.
type shared [][sha256.Size]byte

func newShared(secrets []string) (shared, error) {
	s := make(shared, 0, len(secrets))
	for _, secret := range secrets {
		if secret == "" {
			return nil, errors.New("the secret is empty")
		}
		s = append(s, sha256.Sum256([]byte(secret)))
	}
	if len(s) == 0 {
		return nil, errors.New("a secret is missing")
	}
	return s, nil
}

// has reports whether one of the secrets was sent.
func (s shared) has(sent string) bool {
	sum, good := sha256.Sum256([]byte(sent)), 0
	for i := range s {
		good |= subtle.ConstantTimeCompare(sum[:], s[i][:])
	}
	return good == 1
}

// bearer is a secret in a field: after "Bearer " in Authorization (RFC 6750), or alone in another one.
type bearer struct {
	shared
	header string // "": Authorization
}

func newBearer(secrets []string, header string) (scheme, error) {
	s, err := newShared(secrets)
	return &bearer{shared: s, header: header}, err
}

func (b *bearer) verify(_ context.Context, r *Request) error {
	name := b.header
	if name == "" {
		name = "Authorization"
	}
	sent, err := field(r.Header, name)
	if err != nil {
		return err
	}
	if b.header == "" {
		kind, token, _ := strings.Cut(sent, " ")
		if !strings.EqualFold(kind, "Bearer") {
			return refuse(Malformed, "Authorization does not begin with Bearer")
		}
		sent = strings.TrimLeft(token, " ")
	}
	if !b.has(sent) {
		return refuse(WrongSecret, "%s has another secret", name)
	}
	return nil
}

// basic is a user with a password (RFC 7617).
type basic struct{ shared }

func newBasic(secrets []string) (scheme, error) {
	for _, secret := range secrets {
		if user, password, ok := strings.Cut(secret, ":"); !ok || user == "" || password == "" {
			return nil, errors.New("the secret of basic is USER:PASSWORD")
		}
	}
	s, err := newShared(secrets)
	return &basic{s}, err
}

func (b *basic) verify(_ context.Context, r *Request) error {
	sent, err := field(r.Header, "Authorization")
	if err != nil {
		return err
	}
	kind, text, _ := strings.Cut(sent, " ")
	if !strings.EqualFold(kind, "Basic") {
		return refuse(Malformed, "Authorization does not begin with Basic")
	}
	pair, err := base64.StdEncoding.DecodeString(strings.Trim(text, " "))
	if err != nil {
		return refuse(Malformed, "what follows Basic in Authorization is not in Base64")
	}
	if !b.has(string(pair)) {
		return refuse(WrongSecret, "Authorization has another user or password")
	}
	return nil
}

// graph is Microsoft Graph: every notification of a delivery has the secret as its clientState.
// https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks
type graph struct{ shared }

const maxNotifications = 10000

func newGraph(secrets []string) (scheme, error) {
	s, err := newShared(secrets)
	return &graph{s}, err
}

func (g *graph) verify(_ context.Context, r *Request) error {
	notifications, good, bad := 0, 0, 0
	err := look(r.Body, [][]string{{"value", each}, {"value", each, "clientState"}}, func(path int, raw []byte) error {
		if path == 0 {
			if notifications++; notifications > maxNotifications {
				return errors.New("the body has too many notifications")
			}
			return nil
		}
		if state, ok := text(raw); ok && g.has(state) {
			good++
		} else {
			bad++
		}
		return nil
	})
	switch {
	case err != nil:
		return refuse(Malformed, "%v", err)
	case notifications == 0:
		return refuse(Malformed, "the body has no notifications in value")
	case bad > 0:
		return refuse(WrongSecret, "%d of %d notifications have another clientState", bad, notifications)
	case good != notifications:
		return refuse(Missing, "%d of %d notifications have no clientState", notifications-good, notifications)
	}
	return nil
}
