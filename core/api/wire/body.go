package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/fault"
)

// MaxBody is how many bytes of JSON a request may have: as many as Strapi takes.
const MaxBody = 1 << 20

// maxForm is how many bytes of a form are read before they are left alone: as many as Strapi takes.
const maxForm = 56 << 10

// Body reads what a request sent as JSON, which is an object, of at most limit bytes; 0 is [MaxBody]. Numbers are json.Number, null is nil. It is nil when there is none: no
// body, a list, or something else than JSON. The error is a [*problem.Error], or, of a client who went away, has a code of package fault.
func Body(w http.ResponseWriter, r *http.Request, limit int64) (map[string]any, error) {
	if limit == 0 {
		limit = MaxBody
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	isJSON := media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
	if !isJSON {
		if media != "application/x-www-form-urlencoded" {
			return nil, nil
		}
		limit = maxForm
	}
	text, err := read(w, r, limit)
	if err != nil || !isJSON || len(text) == 0 {
		return nil, err
	}
	v, err := Parse(text)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case map[string]any:
		return v, nil
	case []any:
		return nil, nil
	}
	return nil, syntax("invalid JSON, only supports object and array")
}

// maxTrusted is how many bytes room is made for before they have come.
const maxTrusted = 64 << 10

// read reads the body of a request, which may say before how long it is.
func read(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, problem.TooLarge()
	}
	var text bytes.Buffer
	text.Grow(int(min(max(r.ContentLength, 0), maxTrusted)) + bytes.MinRead) // or it is copied as it grows
	_, err := text.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	if _, more := errors.AsType[*http.MaxBytesError](err); more {
		return nil, problem.TooLarge()
	}
	if err != nil {
		return nil, fmt.Errorf("the body of a request: %w", errors.Join(err, fault.Invalid))
	}
	return text.Bytes(), nil
}

// Data is the data of a body, for an entry. The error is a [*problem.Error].
func Data(body map[string]any) (map[string]any, error) {
	switch data := body["data"].(type) {
	case map[string]any:
		return data, nil
	case []any:
		message := "this must be a `object` type, but the final value was: `null`"
		if cast, ok := printed(data, new(int)).([]any); ok {
			message += " (cast from the value `" + string(indented(cast)) + "`)"
		}
		return nil, problem.Fields(problem.Field{Message: message + ".", Value: problem.Null{}})
	}
	return nil, problem.Validation(`Missing "data" payload in the request body`)
}

// maxPrinted is how many values, and bytes of each, a message shows.
const maxPrinted = 100

// printed is a value as yup, which Strapi checks data with, shows one in a message: all that it is made of is text, and what was text before is in quotes. It is nil when that is
// too much to be shown: n is how many values have been so far.
func printed(v any, n *int) any {
	if *n++; *n > maxPrinted {
		return nil
	}
	switch v := v.(type) {
	case map[string]any:
		object := make(map[string]any, len(v))
		for name, one := range v {
			if object[name] = printed(one, n); object[name] == nil || len(name) > maxPrinted {
				return nil
			}
		}
		return object
	case []any:
		list := make([]any, 0, min(len(v), maxPrinted))
		for _, one := range v {
			if list = append(list, printed(one, n)); list[len(list)-1] == nil {
				return nil
			}
		}
		return list
	case string:
		if len(v) > maxPrinted {
			return nil
		}
		return `"` + v + `"`
	case nil:
		return "null"
	}
	if text := fmt.Sprint(v); len(text) <= maxPrinted {
		return text
	}
	return nil
}

func indented(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // of texts, lists and objects: never fails
	return bytes.TrimSpace(b.Bytes())
}
