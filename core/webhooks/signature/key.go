package signature

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"
)

const (
	maxID   = 256 // bytes of an id, a type or a key
	maxSpec = 16  // parts of a path

	maxPlaces = 4 // paths of a naming
)

// Key returns what a delivery has at a place: "header:NAME" is a field of it, anything else a path into its JSON body, with dots between names and with
// the numbers of a list's items from 0: data.object.customer, entry.0.id. It is false if there is nothing, or what is no text, number or boolean;
// or if the body is not JSON, or has a name of the path twice. "*" is the same for all deliveries. What is longer than 256 bytes, or can't be
// printed, becomes a hash of it.
func Key(spec string, header http.Header, body []byte) (string, bool) {
	if spec == each {
		return each, true
	}
	if name, ok := strings.CutPrefix(spec, "header:"); ok {
		value := header.Get(name)
		return short(value), value != ""
	}
	path, err := pathOf(spec)
	if err != nil {
		return "", false
	}
	key, ok := "", false
	err = look(body, [][]string{path}, func(_ int, raw []byte) error {
		key, ok = scalar(raw)
		return nil
	})
	return short(key), ok && err == nil
}

// checkSpec says why Key would never find anything.
func checkSpec(spec string) error {
	if name, ok := strings.CutPrefix(spec, "header:"); ok {
		if !httpguts.ValidHeaderFieldName(name) {
			return errors.New("header: needs the name of a field, such as header:X-Event-Id")
		}
		return nil
	}
	_, err := pathOf(spec)
	return err
}

func pathOf(spec string) ([]string, error) {
	path := strings.Split(spec, ".")
	if len(path) > maxSpec {
		return nil, errors.New("a path has 16 names at most")
	}
	for _, name := range path {
		if name == "" || name == each {
			return nil, errors.New("a path is names with dots between them, such as data.object.id")
		}
	}
	return path, nil
}

// short returns what is kept of an id.
func short(s string) string {
	if len(s) <= maxID && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return s
	}
	return hashed([]byte(s))
}

// hashed is the id of what has none.
func hashed(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// A place is where something stands in a delivery.
type place struct {
	header string
	form   string
	path   int // of naming.paths
}

// naming is where a provider says which event a delivery is, in the order in which it is looked for.
type naming struct {
	ids, types []place
	paths      [][]string
	special    func(*Request) (Event, bool) // what places can't say
	id         func(*Request) string        // of an id alone
	each       bool                         // every request is another event
}

// A namer makes a naming of specs: those of Key, and form:NAME.
func newNaming(ids, types []string) *naming {
	n := &naming{}
	for _, part := range []struct {
		specs []string
		to    *[]place
	}{{ids, &n.ids}, {types, &n.types}} {
		for _, spec := range part.specs {
			if name, ok := strings.CutPrefix(spec, "header:"); ok {
				*part.to = append(*part.to, place{header: http.CanonicalHeaderKey(name)})
			} else if name, ok := strings.CutPrefix(spec, "form:"); ok {
				*part.to = append(*part.to, place{form: name})
			} else if path, err := pathOf(spec); err == nil {
				*part.to = append(*part.to, place{path: len(n.paths)})
				n.paths = append(n.paths, path)
			}
		}
	}
	return n
}

// event returns what a verified delivery says that it is.
func (n *naming) event(r *Request) Event {
	if n.special != nil {
		if e, ok := n.special(r); ok {
			return e.whole(r.Body)
		}
	}
	var values [maxPlaces]string
	if len(n.paths) > 0 {
		values = n.look(r.Body)
	}
	var form url.Values
	first := func(places []place) string {
		for _, p := range places {
			value := ""
			switch {
			case p.header != "":
				if all := r.Header[p.header]; len(all) > 0 {
					value = all[0]
				}
			case p.form != "":
				if form == nil && maybeForm(r.Body) {
					form = readForm(r.Body)
				}
				value = form.Get(p.form)
			default:
				value = values[p.path]
			}
			if value != "" {
				return value
			}
		}
		return ""
	}
	e := Event{ID: first(n.ids), Type: first(n.types)}
	switch {
	case n.each:
		e.ID = rand.Text()
	case n.id != nil:
		e.ID = n.id(r)
	}
	return e.whole(r.Body)
}

// look returns what stands at the paths of a JSON body.
func (n *naming) look(body []byte) [maxPlaces]string {
	var values [maxPlaces]string
	err := look(body, n.paths, func(i int, raw []byte) error {
		values[i], _ = scalar(raw)
		return nil
	})
	if err != nil {
		return [maxPlaces]string{}
	}
	return values
}

// whole bounds an event, and gives it an id if it has none.
func (e Event) whole(body []byte) Event {
	if e.ID == "" {
		e.ID = hashed(body)
	}
	return Event{ID: short(e.ID), Type: short(e.Type)}
}

// maybeForm reports whether a body is no JSON object. Which of both it is the signed bytes say, and not Content-Type, which nobody signs: with another one a delivery
// would be sent again under another id.
func maybeForm(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && body[0] != '{'
}

func isForm(r *Request) bool {
	t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(t), "application/x-www-form-urlencoded")
}

const maxParameters = 1000

// readForm returns what a form says, nil if it can't be read.
func readForm(body []byte) url.Values {
	if bytes.Count(body, []byte("&")) >= maxParameters {
		return nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil
	}
	return form
}
