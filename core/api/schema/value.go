package schema

import (
	"fmt"
	"net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// uidPattern is what a uid looks like, as in Strapi.
var uidPattern = regexp.MustCompile(`^[A-Za-z0-9\-_.~]*$`)

// misfit says why the default is none that an entry could have; "" if it is one.
func (a *Attribute) misfit() string {
	switch v := a.Default.(type) {
	case bool:
		if a.Kind != Boolean && a.Kind != JSON {
			return a.not("it is true or false")
		}
		return ""
	case string:
		return a.misfitText(v)
	case int64:
		if a.Kind != Integer && a.Kind != BigInteger && a.Kind != JSON {
			return a.not("it is a whole number")
		}
		return a.misfitNumber(float64(v))
	case float64:
		if a.Kind != Float && a.Kind != Decimal && a.Kind != JSON {
			return a.not("it is a number with a fraction")
		}
		return a.misfitNumber(v)
	case time.Time:
		if a.Kind != DateTime {
			return a.not("it is a time")
		}
		return ""
	}
	if a.Kind != JSON && a.Kind != Blocks {
		return a.not("it is neither a text nor a number")
	}
	return ""
}

// not says that a value is of another kind.
func (a *Attribute) not(what string) string { return what + ", and not of kind " + string(a.Kind) }

func (a *Attribute) misfitNumber(v float64) string {
	switch {
	case a.Min != nil && v < *a.Min:
		return "it is less than min"
	case a.Max != nil && v > *a.Max:
		return "it is greater than max"
	}
	return ""
}

func (a *Attribute) misfitText(v string) string {
	length := len(utf16.Encode([]rune(v)))
	switch a.Kind {
	case String, Text, RichText, Email, UID:
	case Enumeration:
		if !slices.Contains(a.Enum, v) {
			return fmt.Sprintf("%q is not in enum%s", clip(v), meant(v, a.Enum))
		}
	case Date:
		if _, err := time.Parse(time.DateOnly, v); err != nil {
			return "a date is written as 2026-05-01"
		}
	case Time:
		if _, err := time.Parse("15:04:05.000", v); err != nil {
			return "a time is written as 18:30:00.000"
		}
	case JSON:
		return ""
	default:
		return a.not("it is a text")
	}
	switch {
	case a.Kind == String && utf8.RuneCountInString(v) > maxString:
		return fmt.Sprintf("a string has %d characters at most; use text", maxString)
	case a.Kind == Email && !isEmail(v):
		return "it is no e-mail address"
	case a.Kind == UID && !uidPattern.MatchString(v):
		return "a uid has letters, digits, -, _, . and ~"
	case a.MinLength != nil && length < *a.MinLength:
		return "it is shorter than minLength"
	case a.MaxLength != nil && length > *a.MaxLength:
		return "it is longer than maxLength"
	case a.Regex != nil && !a.Regex.MatchString(v):
		return "it does not match regex"
	}
	return ""
}

func isEmail(v string) bool {
	address, err := mail.ParseAddress(v)
	return err == nil && address.Address == v
}

// stored turns a default as a file has it into what a store keeps for a kind. What does not fit stays as it is.
func (a *Attribute) stored(v any) any {
	switch a.Kind {
	case Float, Decimal:
		if n, ok := v.(int64); ok {
			return float64(n)
		}
	case BigInteger:
		if s, ok := v.(string); ok {
			if n, err := strconv.ParseInt(s, 10, 64); err == nil {
				return n
			}
		}
	case Time:
		if s, ok := v.(string); ok {
			return wholeTime(s)
		}
	case DateTime:
		if s, ok := v.(string); ok {
			if at, err := time.Parse(time.RFC3339, s); err == nil {
				return at.UTC().Truncate(time.Millisecond)
			}
		}
	default: // is kept as it is written
	}
	return v
}

// wholeTime writes a time of day with seconds and milliseconds.
func wholeTime(s string) string {
	switch strings.Count(s, ":") {
	case 1:
		return s + ":00.000"
	case 2:
		if !strings.Contains(s, ".") {
			return s + ".000"
		}
	}
	return s
}
