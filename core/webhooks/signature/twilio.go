package signature

import (
	"context"
	"crypto/sha1" //nolint:gosec // it is what Twilio signs with; as a keyed hash it is not broken
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"strings"
)

// twilio signs the URL and a form's names and values; of any other body the URL has the hash in bodySHA256.
// https://www.twilio.com/docs/usage/security#validating-requests
type twilio struct {
	keys []key
	url  string // the one that Twilio was given; "": the one that was asked
}

func newTwilio(secrets []string, address string) (scheme, error) {
	s := &twilio{url: address}
	for _, secret := range secrets {
		if secret == "" {
			return nil, errors.New("the secret is empty")
		}
		s.keys = append(s.keys, newMACKey(sha1.New, []byte(secret)))
	}
	if len(s.keys) == 0 {
		return nil, errors.New("the account's auth token is missing")
	}
	return s, nil
}

func (s *twilio) verify(_ context.Context, r *Request) error {
	const header = "X-Twilio-Signature"
	value, err := field(r.Header, header)
	if err != nil {
		return err
	}
	c := &claim{}
	if err := c.add(value, inBase64, false); err != nil {
		return err
	}
	if c.cut {
		return refuse(Malformed, "the signature in %s is not in base64", header)
	}
	address := configured(s.url, r.URL)
	signedBody, err := twilioBody(r, address)
	if err != nil {
		return err
	}
	good := false
	for _, u := range addresses(address) {
		c.before = append(c.before[:0], u...)
		for _, k := range s.keys {
			good = k.fits(c, signedBody) || good
		}
	}
	if !good {
		return wrong(len(s.keys))
	}
	return nil
}

// twilioBody returns what is signed of the body. Nothing of it may be left unsigned.
func twilioBody(r *Request, address string) ([]byte, error) {
	_, query, _ := strings.Cut(address, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, refuse(Malformed, "the URL's query can't be read")
	}
	if want := values["bodySHA256"]; len(want) > 0 {
		sum := sha256.Sum256(r.Body)
		if len(want) > 1 || subtle.ConstantTimeCompare([]byte(strings.ToLower(want[0])), []byte(hex.EncodeToString(sum[:]))) != 1 {
			return nil, refuse(WrongSignature, "the body has another hash than bodySHA256 in the URL")
		}
		return nil, nil
	}
	if len(r.Body) == 0 {
		return nil, nil
	}
	if !isForm(r) {
		return nil, refuse(Malformed, "the body is no form, and the URL has no bodySHA256 that says that it is Twilio's")
	}
	form := readForm(r.Body)
	if form == nil {
		return nil, refuse(Malformed, "the body is no form, or one with more than %d values", maxParameters)
	}
	return joined(form), nil
}

// joined is the form's names and values, sorted, each value of a name once.
func joined(form url.Values) (b []byte) {
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := slices.Clone(form[name])
		slices.Sort(values)
		for _, value := range slices.Compact(values) {
			b = append(append(b, name...), value...)
		}
	}
	return b
}

// configured returns the URL that a source was given, with the query that it asked with; given is "" if that is the one it asked.
func configured(given, asked string) string {
	if given == "" {
		return asked
	}
	base, own, has := strings.Cut(given, "?")
	if _, query, ok := strings.Cut(asked, "?"); ok {
		own, has = query, true
	}
	if !has {
		return base
	}
	return base + "?" + own
}

// addresses returns the URL without a port and with the scheme's own: what is signed differs. The bytes are left as they are: Twilio signs them so.
func addresses(address string) []string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return []string{address}
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host, after := rest[:end], rest[end:]
	bare := host
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') && colon > strings.LastIndexByte(host, '@') {
		bare = host[:colon]
	}
	with := host
	if with == bare {
		with += map[string]string{"http": ":80", "https": ":443"}[strings.ToLower(scheme)]
	}
	return []string{scheme + "://" + bare + after, scheme + "://" + with + after}
}
