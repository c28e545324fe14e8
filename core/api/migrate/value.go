package migrate

import (
	"math"
	"net/mail"
	"regexp"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// Ways to write values as texts. Times of day and moments are as the API writes them.
const (
	timeOfDay = "15:04:05.000"
	moment    = "2006-01-02T15:04:05.000Z"
	maxString = 255 // characters of a string, as in package schema
	exactly   = 1 << 53
)

var uidPattern = regexp.MustCompile(`^[A-Za-z0-9\-_.~]*$`)

// converted is a value as an attribute of another kind has it; ok is false if it can't be one. What is one already stays. Nothing is lost: from the
// new value the old one could be had again.
func converted(v any, to *schema.Attribute) (next any, ok bool) {
	if fits(v, to) {
		return v, true
	}
	switch to.Kind {
	case schema.String, schema.Text, schema.RichText, schema.Email, schema.UID, schema.Enumeration:
		next, ok = asText(v)
	case schema.Integer, schema.BigInteger:
		next, ok = asWhole(v)
	case schema.Float, schema.Decimal:
		next, ok = asFloat(v)
	case schema.Boolean:
		s, _ := v.(string)
		next, ok = s == "true", s == "true" || s == "false"
	case schema.Date:
		t, isTime := v.(time.Time)
		next, ok = t.UTC().Format(time.DateOnly), isTime && t.Equal(t.UTC().Truncate(24*time.Hour))
	case schema.DateTime:
		next, ok = asMoment(v)
	case schema.JSON:
		next, ok = asText(v)
	default: // nothing else becomes one of these
	}
	return next, ok && fits(next, to)
}

// fits reports whether a value is one that the attribute may have, its bounds apart.
func fits(v any, a *schema.Attribute) bool {
	s, isText := v.(string)
	switch a.Kind {
	case schema.String:
		return isText && utf8.RuneCountInString(s) <= maxString
	case schema.Text, schema.RichText:
		return isText
	case schema.Email:
		address, err := mail.ParseAddress(s)
		return isText && err == nil && address.Address == s
	case schema.UID:
		return isText && uidPattern.MatchString(s)
	case schema.Enumeration:
		return isText && slices.Contains(a.Enum, s)
	case schema.Integer, schema.BigInteger:
		_, ok := v.(int64)
		return ok
	case schema.Float, schema.Decimal:
		_, ok := v.(float64)
		return ok
	case schema.Boolean:
		_, ok := v.(bool)
		return ok
	case schema.Date:
		return isText && parses(time.DateOnly, s)
	case schema.Time:
		return isText && parses(timeOfDay, s)
	case schema.DateTime:
		_, ok := v.(time.Time)
		return ok
	case schema.Blocks:
		return areBlocks(v)
	case schema.JSON:
		_, ok := v.(time.Time)
		return !ok
	default: // passwords are hashes, and the others no plain values
		return false
	}
}

func parses(layout, s string) bool {
	t, err := time.Parse(layout, s)
	return err == nil && t.Format(layout) == s
}

// areBlocks reports whether a value is a list of what has a type, as paragraphs and headings have.
func areBlocks(v any) bool {
	list, ok := v.([]any)
	return ok && !slices.ContainsFunc(list, func(v any) bool {
		block, _ := v.(store.Document)
		return block.String("type") == ""
	})
}

func asText(v any) (any, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case bool:
		return strconv.FormatBool(v), true
	case time.Time:
		return v.UTC().Format(moment), true
	}
	return nil, false
}

func asWhole(v any) (any, bool) {
	switch v := v.(type) {
	case float64:
		return int64(v), v == math.Trunc(v) && math.Abs(v) <= exactly
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		return n, err == nil && strconv.FormatInt(n, 10) == v
	}
	return nil, false
}

func asFloat(v any) (any, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), -exactly <= v && v <= exactly
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil && !math.IsInf(f, 0) && strconv.FormatFloat(f, 'f', -1, 64) == v
	}
	return nil, false
}

// asMoment reads a moment, or a day as its beginning in UTC.
func asMoment(v any) (any, bool) {
	s, _ := v.(string)
	for _, layout := range []string{moment, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil && t.Format(layout) == s {
			return t, true
		}
	}
	return nil, false
}
