package forms

import (
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/onehost/edge/core/config"
)

// A rule says what one field has to look like.
type rule struct {
	config.FormField
	name    string
	pattern *regexp.Regexp // nil: any
}

// A fieldError is what is wrong with one field, for who filled it in.
type fieldError struct {
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

func newRule(name string, f config.FormField) (rule, error) {
	r := rule{FormField: f, name: name}
	if f.Pattern == "" {
		return r, nil
	}
	if _, err := regexp.Compile(f.Pattern); err != nil { // by itself: "a)(b" must not become right by what is put around it
		return rule{}, fmt.Errorf("this is no regular expression (RE2): %w", err)
	}
	var err error
	r.pattern, err = regexp.Compile(`\A(?:` + f.Pattern + `)\z`)
	return r, err
}

// label is what visitors call the field.
func (r *rule) label() string {
	if r.Label != "" {
		return r.Label
	}
	return r.name
}

// checkNames refuses a name that is a configured one but for its case: many functions take the one for the other, as encoding/json does, and would get
// by it what no rule has seen.
func (f *form) checkNames(s *sent) error {
	for _, i := range s.items {
		for n := range f.rules {
			if name := f.rules[n].name; name != i.name && strings.EqualFold(name, i.name) {
				return invalid("Field %q has to be written %q.", i.name, name)
			}
		}
	}
	return nil
}

// check says what is wrong with each field. Space around what is one word by its nature is taken away, as browsers do.
func (f *form) check(s *sent) (wrong []fieldError) {
	for n := range f.rules {
		r := &f.rules[n]
		if reason := r.check(s.values(r.name)); reason != "" {
			wrong = append(wrong, fieldError{r.name, reason})
		}
	}
	return wrong
}

func (r *rule) check(values []*item) string {
	given := 0
	for _, v := range values {
		if r.Type != "text" && r.Type != "select" && v.file == nil {
			v.text = strings.TrimSpace(v.text)
		}
		if v.file != nil || v.text != "" {
			given++
		}
	}
	unchecked := r.Type == "checkbox" && given == 1 && values[0].bare && values[0].text == "false"
	switch {
	case given == 0 && r.Required || unchecked && r.Required:
		return r.missing()
	case given == 0:
		return ""
	case len(values) > 1 && r.Type != "select" && r.Type != "checkbox" && r.Type != "file":
		return "Give only one."
	}
	for _, v := range values {
		if (v.file != nil) != (r.Type == "file") {
			if r.Type == "file" {
				return "Send a file."
			}
			return "Send text, not a file."
		}
		if v.file == nil && v.text == "" {
			continue
		}
		if reason := r.checkValue(v); reason != "" {
			return reason
		}
		if r.Type != "select" && r.Type != "checkbox" && r.Type != "file" {
			v.list = false // of one: the function gets what was judged, and not a list of it
		}
	}
	return ""
}

func (r *rule) missing() string {
	switch r.Type {
	case "checkbox":
		return "Check this box."
	case "select":
		return "Choose one."
	case "file":
		return "Choose a file."
	}
	return "Fill this in."
}

func (r *rule) checkValue(v *item) string {
	reason := ""
	switch r.Type {
	case "file":
		return r.checkFile(v.file)
	case "number":
		reason = r.checkNumber(v.text)
	case "email":
		if !isEmail(v.text) {
			reason = "Give an e-mail address, such as name@example.com."
		}
	case "url":
		if !isURL(v.text) {
			reason = "Give the address of a page, such as https://example.com."
		}
	case "tel":
		if !isPhone(v.text) {
			reason = "Give a phone number, such as +34 600 000 000."
		}
	case "date":
		if _, err := time.Parse(time.DateOnly, v.text); err != nil {
			reason = "Give a date as year-month-day, such as 2025-12-31."
		}
	case "select":
		if !slices.Contains(r.Options, v.text) {
			reason = "Choose one of the options."
		}
	}
	if reason == "" && r.Type != "number" {
		reason = r.checkLength(v.text)
	}
	if reason == "" && r.pattern != nil && !r.pattern.MatchString(v.text) {
		reason = "This is not in the expected format."
	}
	return reason
}

// checkLength counts characters as browsers do for maxlength: the end of a line is one.
func (r *rule) checkLength(text string) string {
	n := utf8.RuneCountInString(text) - strings.Count(text, "\r\n")
	switch {
	case r.Max != nil && n > *r.Max:
		return fmt.Sprintf("Use at most %d characters; these are %d.", *r.Max, n)
	case r.Min != nil && n < *r.Min:
		return fmt.Sprintf("Use at least %d characters.", *r.Min)
	}
	return ""
}

func (r *rule) checkNumber(text string) string {
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || strings.Trim(text, "0123456789.+-eE") != "": // no 0x1p-2, no 1_000, no inf
		return "Give a number."
	case r.Min != nil && n < float64(*r.Min):
		return fmt.Sprintf("Give a number of at least %d.", *r.Min)
	case r.Max != nil && n > float64(*r.Max):
		return fmt.Sprintf("Give a number of at most %d.", *r.Max)
	}
	return ""
}

// isEmail takes an address alone, with a domain of the Internet: no display name, no comment, no second line, no list.
func isEmail(text string) bool {
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return false
	}
	address, err := mail.ParseAddress(text)
	if err != nil || address.Address != text {
		return false
	}
	local, domain, _ := strings.Cut(text, "@")
	if len(local) > 64 || len(text) > 254 || strings.HasPrefix(local, `"`) || strings.Contains(domain, "@") { // RFC 5321, section 4.5.3.1
		return false
	}
	labels := strings.Split(domain, ".")
	return len(labels) > 1 && !slices.ContainsFunc(labels, func(l string) bool {
		return l == "" || len(l) > 63 || strings.HasPrefix(l, "-") || strings.HasSuffix(l, "-") ||
			strings.ContainsFunc(l, func(r rune) bool {
				return r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
			})
	})
}

func isURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" &&
		!strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

func isPhone(text string) bool {
	digits := 0
	for _, r := range text {
		switch {
		case '0' <= r && r <= '9':
			digits++
		case !strings.ContainsRune("+-()./ ,;#*extEXT", r):
			return false
		}
	}
	return digits >= 3
}
