package input

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/onehost/edge/core/api/password"
	"github.com/onehost/edge/core/api/schema"
)

// most is what a string without maxLength has at most.
const most = 255

// cast makes the store's value of what was sent, and checks it.
func (r *reader) cast(a *schema.Attribute, v any, p path) (any, bool) {
	switch a.Kind {
	case schema.String, schema.Text, schema.RichText, schema.Email, schema.UID, schema.Password:
		text, ok := v.(string)
		if !ok {
			r.mistyped("string", v, p)
			return nil, false
		}
		if !r.valid(text, p) {
			return nil, false
		}
		r.rules(a, text, p)
		if a.Kind == schema.Password {
			return Plain(text), true
		}
		return text, true
	case schema.Enumeration:
		return r.enumeration(a, v, p)
	case schema.Boolean:
		return r.boolean(v, p)
	case schema.Integer, schema.BigInteger:
		return r.integer(a, v, p)
	case schema.Float, schema.Decimal:
		return r.float(a, v, p)
	case schema.Date:
		return r.moment(parseDate, v)
	case schema.Time:
		return r.moment(parseTime, v)
	case schema.DateTime:
		return r.moment(parseDateTime, v)
	case schema.Blocks:
		return r.blocks(v, p)
	default:
		return r.json(v, p, 1)
	}
}

// mistyped is a value of another type than the attribute's.
func (r *reader) mistyped(kind string, v any, p path) {
	r.no(p, v, "must be a `"+kind+"` type, but the final value was: `"+printed(v)+"`.")
}

// valid accepts what every store keeps as it is.
func (r *reader) valid(text string, p path) bool {
	if !utf8.ValidString(text) || strings.HasPrefix(text, "\U0010ffff") {
		r.no(p, missing{}, "must be text: valid UTF-8")
		return false
	}
	return true
}

// rules checks a value as it is kept. Of a draft it need only not be too much.
func (r *reader) rules(a *schema.Attribute, v any, p path) {
	switch v := v.(type) {
	case string:
		r.textRules(a, v, p)
	case int64:
		if a.Min != nil && !r.draft && v < atLeast(*a.Min) {
			r.no(p, v, "must be greater than or equal to "+number(*a.Min))
		}
		if a.Max != nil && v > atMost(*a.Max) {
			r.no(p, v, "must be less than or equal to "+number(*a.Max))
		}
	case float64:
		if a.Min != nil && !r.draft && v < *a.Min {
			r.no(p, v, "must be greater than or equal to "+number(*a.Min))
		}
		if a.Max != nil && v > *a.Max {
			r.no(p, v, "must be less than or equal to "+number(*a.Max))
		}
	}
}

func (r *reader) textRules(a *schema.Attribute, text string, p path) {
	switch a.Kind {
	case schema.String, schema.Text, schema.RichText, schema.Email, schema.UID, schema.Password:
	default:
		return
	}
	whole := !r.draft || a.Kind == schema.Password // a hash is not looked at again
	size := utf16Len(text)
	if a.MinLength != nil && whole && size < *a.MinLength {
		r.no(p, text, "must be at least "+strconv.Itoa(*a.MinLength)+" characters")
	}
	if limit, ok := maxLength(a); ok && size > limit {
		r.no(p, text, "must be at most "+strconv.Itoa(limit)+" characters")
	}
	if a.Kind == schema.Password && len(text) > password.MaxPassword {
		r.no(p, missing{}, "must be at most "+strconv.Itoa(password.MaxPassword)+" bytes")
	}
	if a.Regex != nil && whole && (text != "" || a.Required) && !a.Regex.MatchString(text) {
		r.no(p, text, `must match the following: "/`+a.Regex.String()+`/"`)
	}
	switch {
	case a.Kind == schema.Email && whole && text == "":
		r.no(p, text, "cannot be empty")
	case a.Kind == schema.Email && whole && !isEmail(text):
		r.no(p, text, "must be a valid email")
	case a.Kind == schema.UID && whole && a.Regex == nil && !slug.MatchString(text):
		r.no(p, text, `must match the following: "/`+slug.String()+`/"`)
	}
}

// slug is what a uid looks like.
var slug = regexp.MustCompile(`^[A-Za-z0-9-_.~]*$`)

func maxLength(a *schema.Attribute) (int, bool) {
	switch {
	case a.MaxLength != nil:
		return *a.MaxLength, true
	case a.Kind == schema.String:
		return most, true
	}
	return 0, false
}

// utf16Len is the length of a text as JavaScript counts it.
func utf16Len(text string) int {
	n := 0
	for _, c := range text {
		n++
		if c > 0xffff {
			n++
		}
	}
	return n
}

func (r *reader) enumeration(a *schema.Attribute, v any, p path) (any, bool) {
	text, ok := "", true
	switch v := v.(type) {
	case string:
		text = v
	case bool:
		text = strconv.FormatBool(v)
	case json.Number:
		text = v.String()
	default:
		ok = false
		r.mistyped("string", v, p)
	}
	if ok && slices.Contains(a.Enum, text) {
		return text, true
	}
	// Strapi's list ends with null, which is written as nothing.
	r.no(p, v, "must be one of the following values: "+strings.Join(append(slices.Clone(a.Enum), ""), ", "))
	return nil, false
}

func (r *reader) boolean(v any, p path) (any, bool) {
	text := ""
	switch v := v.(type) {
	case bool:
		return v, true
	case string:
		text = v
	case json.Number:
		text = v.String()
	}
	if !r.strict {
		switch strings.ToLower(text) {
		case "true", "1":
			return true, true
		case "false", "0":
			return false, true
		}
	}
	r.mistyped("boolean", v, p)
	return nil, false
}

// notNumber is a value that is no number, and can't be made one.
func (r *reader) notNumber(v any, p path) (any, bool) {
	if r.strict {
		r.mistyped("number", v, p)
	} else {
		r.no(p, nil, "must be a `number` type, but the final value was: `NaN` (cast from the value `"+printed(v)+"`).")
	}
	return nil, false
}

// digits is the text of what a number was sent as: a number, or a text when that is taken.
func digits(v any, texts bool) (string, bool) {
	switch v := v.(type) {
	case json.Number:
		return v.String(), true
	case string:
		return strings.TrimSpace(v), texts
	case int64: // of a stamp
		return strconv.FormatInt(v, 10), true
	}
	return "", false
}

func (r *reader) integer(a *schema.Attribute, v any, p path) (any, bool) {
	big := a.Kind == schema.BigInteger
	text, ok := digits(v, big || !r.strict)
	if big {
		text = strings.TrimPrefix(text, "+")
	}
	n, is := whole(text)
	switch {
	case ok && is == exact:
		r.rules(a, n, p)
		return n, true
	case ok && is == tooMuch && strings.HasPrefix(text, "-"):
		r.no(p, v, "must be greater than or equal to -9223372036854775808")
	case ok && is == tooMuch:
		r.no(p, v, "must be less than or equal to 9223372036854775807")
	case big:
		r.no(p, v, "must be a valid integer")
	case ok && is == fraction:
		r.no(p, v, "must be an integer")
	default:
		return r.notNumber(v, p)
	}
	return nil, false
}

func (r *reader) float(a *schema.Attribute, v any, p path) (any, bool) {
	text, ok := digits(v, !r.strict)
	if f, is := v.(float64); is { // of a stamp
		text, ok = number(f), true
	}
	if !ok || !decimal.MatchString(text) {
		return r.notNumber(v, p)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		r.no(p, nil, "must be a finite number")
		return nil, false
	}
	r.rules(a, f, p)
	return f, true
}

// moment reads a date, a time or both. Strapi notices what is wrong with them after all else.
func (r *reader) moment(parse func(v any) (any, string), v any) (any, bool) {
	if t, ok := v.(time.Time); ok { // of a stamp
		return t, true
	}
	kept, wrong := parse(v)
	if wrong != "" && r.format == "" {
		r.format = wrong
	}
	return kept, wrong == ""
}
