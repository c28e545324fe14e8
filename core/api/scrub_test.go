package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A member is one of an object, whose order counts.
type member struct {
	name  string
	value any
}

// ordered reads JSON: objects become []member.
func ordered(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := orderedValue(d)
	if err == nil && d.More() {
		err = fmt.Errorf("more than one value: %.100s", text)
	}
	return v, err
}

func orderedValue(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	object, list := []member{}, []any{}
	switch token {
	case json.Delim('{'):
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := orderedValue(d)
			if err != nil {
				return nil, err
			}
			object = append(object, member{name.(string), v})
		}
		_, err = d.Token()
		return object, err
	case json.Delim('['):
		for d.More() {
			v, err := orderedValue(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	return token, nil
}

func sortMembers(v any) {
	switch v := v.(type) {
	case []member:
		slices.SortFunc(v, func(a, b member) int { return strings.Compare(a.name, b.name) })
		for _, m := range v {
			sortMembers(m.value)
		}
	case []any:
		for _, one := range v {
			sortMembers(one)
		}
	}
}

var (
	placeholder = regexp.MustCompile(`<(doc\d+|id|ts|jwt|hex)>`)
	cut         = regexp.MustCompile(`^(x+)<cut, (\d+) characters>$`)
	looks       = map[string]*regexp.Regexp{
		"id":  regexp.MustCompile(`^\d+$`),
		"jwt": regexp.MustCompile(`^[\w-]+\.[\w-]+\.[\w-]+$`),
		"hex": regexp.MustCompile(`^[0-9a-f]{20,}$`),
		"doc": regexp.MustCompile(`^[a-z0-9]{24}$`),
	}
)

// differs says where an answer is not what was recorded, "" if nowhere. What document ids stand for is learnt on the way.
func (w *world) differs(path string, want, got any) string {
	switch want := want.(type) {
	case []member:
		got, ok := got.([]member)
		if !ok {
			return fmt.Sprintf("%s is %v, want an object", path, got)
		}
		for i, m := range want {
			if i >= len(got) || got[i].name != m.name {
				return fmt.Sprintf("%s has %s, want %s", path, names(got), names(want))
			}
			if d := w.differs(path+"."+m.name, m.value, got[i].value); d != "" {
				return d
			}
		}
		if len(got) > len(want) {
			return fmt.Sprintf("%s has %s, want %s", path, names(got), names(want))
		}
		return ""
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			return fmt.Sprintf("%s is %.300v, want %d of them", path, got, len(want))
		}
		for i := range want {
			if d := w.differs(fmt.Sprintf("%s[%d]", path, i), want[i], got[i]); d != "" {
				return d
			}
		}
		return ""
	case string:
		if w.stands(strings.ReplaceAll(want, "<run>", w.run), got) {
			return ""
		}
	default:
		if fmt.Sprint(want) == fmt.Sprint(got) && (want == nil) == (got == nil) {
			return ""
		}
	}
	return fmt.Sprintf("%s is %.300v, want %.300v", path, got, want)
}

func names(object []member) string {
	var all []string
	for _, m := range object {
		all = append(all, m.name)
	}
	return strings.Join(all, " ")
}

// stands reports whether got is what a recorded text, with placeholders, stands for.
func (w *world) stands(want string, got any) bool {
	text := fmt.Sprint(got)
	if m := cut.FindStringSubmatch(want); m != nil {
		return strings.HasPrefix(text, m[1]) && fmt.Sprint(len(text)) == m[2]
	}
	if want == "<ts>" {
		at, err := time.Parse("2006-01-02T15:04:05.000Z", text)
		return err == nil && !at.IsZero()
	}
	name := strings.Trim(want, "<>")
	if !placeholder.MatchString(want) || "<"+name+">" != want {
		_, isText := got.(string)
		return isText && w.filled(want) == text
	}
	if number, ok := strings.CutPrefix(name, "doc"); ok {
		if w.docs[number] == "" && looks["doc"].MatchString(text) {
			w.docs[number] = text
		}
		return w.docs[number] == text
	}
	return looks[name].MatchString(text)
}

// filled is a recorded text with what its placeholders stand for here.
func (w *world) filled(text string) string {
	text = strings.ReplaceAll(text, "<run>", w.run)
	return placeholder.ReplaceAllStringFunc(text, func(p string) string {
		number, isDoc := strings.CutPrefix(strings.Trim(p, "<>"), "doc")
		switch {
		case isDoc && w.docs[number] == "":
			return "z" + strings.Repeat("9", 21) + number[:min(2, len(number))] // of nothing
		case isDoc:
			return w.docs[number]
		case p == "<jwt>":
			return w.tokens["alice"]
		case p == "<hex>":
			return w.code
		case p == "<ts>":
			return "2020-01-01T00:00:00.000Z"
		}
		return "1"
	})
}
