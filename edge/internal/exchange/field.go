package exchange

import (
	"iter"
	"strings"
)

// A Field is one header or trailer line: a name and a value (RFC 9110, section 5).
// The name is spelled as it came; comparing ignores ASCII case.
type Field struct {
	Name, Value string
}

// Fields are header or trailer lines in the order in which they came.
//
// It is a list and not a map because order and spelling are the sender's, because a request has about ten of
// them, and because a list can be used again for the next request without allocating.
type Fields []Field

// Get returns the first value of the field called name, or "" if there is none.
func (f Fields) Get(name string) string {
	v, _ := f.Lookup(name)
	return v
}

// Lookup returns the first value of the field called name and whether there is one.
func (f Fields) Lookup(name string) (string, bool) {
	for i := range f {
		if EqualName(f[i].Name, name) {
			return f[i].Value, true
		}
	}
	return "", false
}

// Has reports whether a field called name is there.
func (f Fields) Has(name string) bool {
	_, ok := f.Lookup(name)
	return ok
}

// Values yields every value of the fields called name, in order.
func (f Fields) Values(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range f {
			if EqualName(f[i].Name, name) && !yield(f[i].Value) {
				return
			}
		}
	}
}

// HasToken reports whether a comma-separated list field called name holds token, ignoring ASCII case (RFC 9110, section 5.6.1).
func (f Fields) HasToken(name, token string) bool {
	for i := range f {
		if !EqualName(f[i].Name, name) {
			continue
		}
		for t := range strings.SplitSeq(f[i].Value, ",") {
			if EqualName(strings.Trim(t, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// Add appends a field.
func (f *Fields) Add(name, value string) {
	*f = append(*f, Field{name, value})
}

// Set gives the first field called name this value, removes the other ones of that name, and appends one if there was none.
func (f *Fields) Set(name, value string) {
	found := false
	kept := (*f)[:0]
	for _, field := range *f {
		if EqualName(field.Name, name) {
			if found {
				continue
			}
			found, field.Value = true, value
		}
		kept = append(kept, field)
	}
	if !found {
		kept = append(kept, Field{name, value})
	} else {
		clear((*f)[len(kept):])
	}
	*f = kept
}

// Del removes every field called name.
func (f *Fields) Del(name string) {
	f.DelFunc(func(field Field) bool { return EqualName(field.Name, name) })
}

// DelFunc removes every field for which drop is true.
func (f *Fields) DelFunc(drop func(Field) bool) {
	kept := (*f)[:0]
	for _, field := range *f {
		if !drop(field) {
			kept = append(kept, field)
		}
	}
	clear((*f)[len(kept):])
	*f = kept
}

// Clone returns a copy whose strings are its own: what outlives the exchange must be cloned.
func (f Fields) Clone() Fields {
	if f == nil {
		return nil
	}
	c := make(Fields, len(f))
	for i := range f {
		c[i] = Field{strings.Clone(f[i].Name), strings.Clone(f[i].Value)}
	}
	return c
}

// EqualName reports whether two field names are the same, ignoring ASCII case.
func EqualName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
