package accounts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/onehost/edge/core/api/problem"
)

// A checker reads the texts of a body and says what is wrong with them, in the words of the package yup, by which Strapi checks.
type checker struct {
	body  map[string]any
	wrong []problem.Field
}

func (c *checker) fail(name, message string, value any) {
	c.wrong = append(c.wrong, problem.Field{Path: []any{name}, Message: message, Value: value})
}

// text reads a text that has to be there.
func (c *checker) text(name string) string {
	v, ok := c.body[name]
	s, isText := v.(string)
	switch {
	case !ok:
		c.fail(name, name+" is a required field", nil)
	case v == nil:
		c.fail(name, notText(name, v)+"\n If \"null\" is intended as an empty value be sure to mark the schema as `.nullable()`", problem.Null{})
	case !isText:
		c.fail(name, notText(name, v), v)
	case s == "":
		c.fail(name, name+" is a required field", s)
	}
	return s
}

// optional reads a text that may be missing.
func (c *checker) optional(name string) (s string, given bool) {
	if _, given = c.body[name]; !given {
		return "", false
	}
	return c.text(name), true
}

// email reads an e-mail address, and returns it in lower case.
func (c *checker) email() string {
	s := c.text("email")
	if s != "" && !isEmail(s) {
		c.fail("email", "email must be a valid email", s)
	}
	return strings.ToLower(s)
}

// password reads a new password.
func (c *checker) password() string {
	s := c.text("password")
	if why := passwordProblem(s); s != "" && why != "" {
		c.fail("password", why, s)
	}
	return s
}

func (c *checker) err() error {
	if len(c.wrong) == 0 {
		return nil
	}
	return problem.Fields(c.wrong...)
}

// passwordProblem says why nobody may have this password; "" if somebody may.
func passwordProblem(password string) string {
	switch {
	case len(utf16.Encode([]rune(password))) < minPassword:
		return fmt.Sprintf("password must be at least %d characters", minPassword)
	case len(password) > maxPassword:
		return fmt.Sprintf("Password must be less than %d bytes", maxPassword+1)
	}
	return ""
}

// maxEmail is how long an address may be, in bytes (RFC 5321, section 4.5.3.1.3).
const maxEmail = 254

// isEmail reports whether a text is an address that mail can be sent to: atoms and dots, an @, a domain of two labels at least.
func isEmail(text string) bool {
	name, domain, _ := strings.Cut(text, "@")
	labels := strings.Split(domain, ".")
	if len(text) > maxEmail || len(labels) < 2 {
		return false
	}
	for _, atom := range strings.Split(name, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool { return !isWord(r) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r) }) {
			return false
		}
	}
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, func(r rune) bool { return !isWord(r) && r != '-' }) {
			return false
		}
	}
	return true
}

func isWord(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// notText says that a value is no text.
func notText(name string, v any) string {
	return fmt.Sprintf("%s must be a `string` type, but the final value was: `%s`.", name, printed(v))
}

// maxPrinted is how many bytes of a value a message shows.
const maxPrinted = 200

// printed is a value as yup shows it: within objects and lists all is text, and what was text before is in quotes.
func printed(v any) string {
	text := fmt.Sprint(v)
	switch v.(type) {
	case nil:
		text = "null"
	case map[string]any, []any:
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		_ = e.Encode(asTexts(v)) // of texts, lists and objects: never fails
		text = strings.TrimSuffix(b.String(), "\n")
	}
	if len(text) > maxPrinted {
		text = strings.ToValidUTF8(text[:maxPrinted], "") + "…"
	}
	return text
}

// asTexts has all that an object or a list is made of be text. Bodies are not nested deeply.
func asTexts(v any) any {
	switch v := v.(type) {
	case map[string]any:
		object := make(map[string]any, len(v))
		for name, one := range v {
			object[name] = asTexts(one)
		}
		return object
	case []any:
		list := make([]any, len(v))
		for i, one := range v {
			list[i] = asTexts(one)
		}
		return list
	case string:
		return `"` + v + `"`
	case nil:
		return "null"
	}
	return fmt.Sprint(v)
}
