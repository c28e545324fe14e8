package input

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/onehost/edge/core/store"
)

// json makes the store's value of any JSON. What a store could not give back as it came is refused.
func (r *reader) json(v any, p path, level int) (any, bool) {
	switch v := v.(type) {
	case string:
		return v, r.valid(v, p)
	case json.Number:
		return r.anyNumber(v.String(), p)
	case []any:
		if level > maxDepth {
			return r.tooDeep(p)
		}
		list := make([]any, len(v))
		for i, one := range v {
			kept, ok := r.json(one, p, level+1)
			if !ok {
				return nil, false
			}
			list[i] = kept
		}
		return list, true
	case map[string]any:
		if level > maxDepth {
			return r.tooDeep(p)
		}
		doc := make(store.Document, len(v))
		for _, name := range sorted(v) {
			if strings.ContainsRune(name, 0) || len(name) > maxName || !r.valid(name, p) {
				r.no(p, missing{}, "must have names of at most "+strconv.Itoa(maxName)+" bytes, without the character 0")
				return nil, false
			}
			kept, ok := r.json(v[name], p, level+1)
			if !ok {
				return nil, false
			}
			doc[name] = kept
		}
		return doc, true
	}
	return v, true
}

func (r *reader) tooDeep(p path) (any, bool) {
	r.no(p, missing{}, "must have at most "+strconv.Itoa(maxDepth)+" levels of lists and objects")
	return nil, false
}

// anyNumber keeps a number that is written as a whole one exactly, and any other as a float64.
func (r *reader) anyNumber(text string, p path) (any, bool) {
	if !strings.ContainsAny(text, ".eE") {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			r.no(p, json.Number(text), "must have no whole number over 64 bits: send it as a string")
			return nil, false
		}
		return n, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		r.no(p, json.Number(text), "must have no number over what 64 bits can be")
		return nil, false
	}
	return f, true
}
