package signature

import (
	"crypto/sha1" //nolint:gosec // some sources sign with it; as a keyed hash it is not broken
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"

	"github.com/onehost/edge/core/config"
)

// A generic scheme is what {hmac: …} says.
type generic struct {
	config.HMAC
	url           string
	before, after []piece // of what is signed, around the body
}

// A piece of what is signed: text, or the name of what stands there.
type piece struct{ text, name string }

func newHMAC(source config.Webhook, secrets []string) (scheme, error) {
	h := source.Verify.HMAC
	hashes := map[string]func() hash.Hash{"": sha256.New, "sha1": sha1.New, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New}
	algorithm, ok := hashes[h.Algorithm]
	if !ok {
		return nil, fmt.Errorf("algorithm: %q is no hash that there is", h.Algorithm)
	}
	g := &generic{HMAC: *h, url: source.URL}
	if g.Encoding == "" {
		g.Encoding = string(inHex)
	}
	if err := g.parse(); err != nil {
		return nil, err
	}
	keys := make([]key, 0, len(secrets))
	for _, secret := range secrets {
		if secret == "" {
			return nil, errors.New("the secret is empty")
		}
		keys = append(keys, newMACKey(algorithm, []byte(secret)))
	}
	if len(keys) == 0 {
		return nil, errors.New("a secret is missing")
	}
	return newSigned(keys, source.Tolerance, g.read), nil
}

// parse takes signed apart. The body has to be in it once: what is not signed anybody could have written.
func (g *generic) parse() error {
	template := g.Signed
	if template == "" {
		template = "{body}"
	}
	bodies := 0
	for rest := template; rest != ""; {
		p := piece{text: rest}
		if open := strings.IndexByte(rest, '{'); open > 0 {
			p.text = rest[:open]
		} else if open == 0 {
			p.text = "{"
			if name, _, ok := strings.Cut(rest[1:], "}"); ok && name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz") == "" {
				p = piece{text: rest[:len(name)+2], name: name}
			}
		}
		rest = rest[len(p.text):]
		switch p.name {
		case "body":
			bodies++
			continue
		case "id":
			if g.ID == "" {
				return errors.New("signed: {id} needs id, which says where it stands")
			}
		case "timestamp":
			if g.Timestamp == "" {
				return errors.New("signed: {timestamp} needs timestamp, the field with the time")
			}
		case "", "url", "method":
		default:
			return fmt.Errorf("signed: there is no {%s}, only {body}, {timestamp}, {id}, {url} and {method}", p.name)
		}
		if bodies == 0 {
			g.before = append(g.before, p)
		} else {
			g.after = append(g.after, p)
		}
	}
	if bodies != 1 {
		return errors.New("signed has {body} in it once")
	}
	return nil
}

func (g *generic) read(r *Request, c *claim) error {
	stamp := ""
	if g.Timestamp != "" {
		var err error
		if stamp, err = field(r.Header, g.Timestamp); err != nil {
			return err
		}
		at, err := moment(stamp, g.Timestamp)
		if err != nil {
			return err
		}
		c.at(at)
	}
	for _, side := range []struct {
		pieces []piece
		to     *[]byte
	}{{g.before, &c.before}, {g.after, &c.after}} {
		for i, p := range side.pieces {
			text, err := g.say(p, stamp, r)
			if err != nil {
				return err
			}
			if joint := jointOf(side.pieces, i); p.name == "id" && joint != 0 && strings.IndexByte(text, joint) >= 0 {
				return refuse(Malformed, "the id has %q in it, which stands behind it in what is signed", joint)
			}
			*side.to = append(*side.to, text...)
		}
	}
	if n := len(g.before); n > 0 && g.before[n-1].name == "timestamp" && len(r.Body) > 0 && r.Body[0] >= '0' && r.Body[0] <= '9' {
		return refuse(Malformed, "the body begins with a digit, where the time ends")
	}
	return readPrefixed(r, c, g.Header, g.Prefix, encoding(g.Encoding))
}

// jointOf returns the character behind a piece, 0 if that is no text.
func jointOf(pieces []piece, i int) byte {
	if i+1 < len(pieces) && pieces[i+1].name == "" {
		return pieces[i+1].text[0]
	}
	return 0
}

// say returns what a piece is for a request.
func (g *generic) say(p piece, stamp string, r *Request) (string, error) {
	switch p.name {
	case "timestamp":
		return stamp, nil
	case "id":
		if name, ok := strings.CutPrefix(g.ID, "header:"); ok {
			return field(r.Header, name)
		}
		id, ok := Key(g.ID, r.Header, r.Body)
		if !ok {
			return "", refuse(Missing, "the body has no %s", g.ID)
		}
		return id, nil
	case "url":
		return configured(g.url, r.URL), nil
	case "method":
		return r.Method, nil
	}
	return p.text, nil
}

// moment reads a time in seconds or milliseconds since 1970, or as RFC 3339 has it.
func moment(s, name string) (time.Time, error) {
	if n, err := strconv.ParseUint(s, 10, 64); err == nil && len(s) <= 15 {
		if len(s) >= 12 { // seconds will have 11 digits until the year 5138
			return time.UnixMilli(int64(n)), nil
		}
		return time.Unix(int64(n), 0), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil && len(s) <= 40 {
		return t, nil
	}
	return time.Time{}, refuse(Malformed, "the time in %s is neither a number of seconds or milliseconds since 1970 nor RFC 3339", name)
}
