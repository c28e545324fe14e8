package wire

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/onehost/edge/core/api/problem"
)

// maxDepth is how many lists and objects may lie in each other: no more fit into a document.
const maxDepth = 64

// Parse reads one JSON value as JSON.parse does, but for one that is nested deeper than 64 levels. Of two equal names the last one counts; numbers are json.Number; what
// is no Unicode becomes U+FFFD. The error is a [*problem.Error] with the message of V8, which is what people look for.
func Parse(text []byte) (any, error) {
	p := &parser{text: strings.ToValidUTF8(strings.TrimPrefix(string(text), "\ufeff"), "\ufffd")}
	v, err := p.value()
	if err != nil {
		return nil, err
	}
	if !p.atEnd() {
		return nil, syntax("Unexpected non-whitespace character after JSON at position %d", p.position())
	}
	return v, nil
}

// A parser reads text from left to right. Strings without escapes are parts of the text itself.
type parser struct {
	text  string
	next  int // byte to be read
	depth int
}

// syntax is text that is not JSON.
func syntax(format string, args ...any) error {
	return &problem.Error{Status: http.StatusBadRequest, Name: "SyntaxError", Message: fmt.Sprintf(format, args...)}
}

// at is what is wrong with the character that would be read next.
func (p *parser) at(message string) error {
	return syntax("%s in JSON at position %d", message, p.position())
}

// position is how much has been read, in UTF-16 units, as JavaScript counts.
func (p *parser) position() (units int) {
	for _, r := range p.text[:p.next] {
		units += utf16.RuneLen(r)
	}
	return units
}

// unexpected is what V8 says of a character for which it has no better words: it shows ten more on each side.
func (p *parser) unexpected() error {
	const around, short = 10, 20
	if p.next >= len(p.text) {
		return syntax("Unexpected end of JSON input")
	}
	switch c := p.text[p.next]; {
	case c == '"':
		return p.at("Unexpected string")
	case c == '-' || digit(c):
		return p.at("Unexpected number")
	}
	r, _ := utf8.DecodeRuneInString(p.text[p.next:])
	token := string(r)
	if r > 0xffff {
		token = "\ufffd" // V8 shows half of it
	}
	before, after := utf16.Encode([]rune(p.text[:p.next])), utf16.Encode([]rune(p.text[p.next:]))
	head, tail := "", ""
	if len(before)+len(after) > short {
		if len(before) >= around {
			before, head = before[len(before)-around:], "..."
		}
		if len(after) > around {
			after, tail = after[:around], "..."
		}
	}
	shown := string(utf16.Decode(before)) + string(utf16.Decode(after))
	return syntax("Unexpected token '%s', %s\"%s\"%s is not valid JSON", token, head, shown, tail)
}

// peek returns the next byte that is no space; 0 at the end.
func (p *parser) peek() byte {
	for ; p.next < len(p.text); p.next++ {
		switch c := p.text[p.next]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

func (p *parser) atEnd() bool { return p.peek() == 0 && p.next >= len(p.text) }

func digit(c byte) bool { return '0' <= c && c <= '9' }

func (p *parser) value() (any, error) {
	switch c := p.peek(); {
	case c == '"':
		return p.string()
	case c == '{':
		return p.object()
	case c == '[':
		return p.list()
	case c == '-' || digit(c):
		return p.number()
	case c == 't':
		return true, p.word("true")
	case c == 'f':
		return false, p.word("false")
	case c == 'n':
		return nil, p.word("null")
	}
	return nil, p.unexpected()
}

func (p *parser) word(w string) error {
	for i := range len(w) {
		if p.next >= len(p.text) || p.text[p.next] != w[i] {
			return p.unexpected()
		}
		p.next++
	}
	return nil
}

// enter begins a list or an object.
func (p *parser) enter() error {
	if p.depth++; p.depth > maxDepth {
		return p.at(fmt.Sprintf("More than %d levels", maxDepth))
	}
	p.next++
	return nil
}

func (p *parser) object() (any, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	object := make(map[string]any)
	if p.peek() == '}' {
		p.leave()
		return object, nil
	}
	for wanted := "Expected property name or '}'"; ; wanted = "Expected double-quoted property name" {
		if p.peek() != '"' {
			return nil, p.at(wanted)
		}
		name, err := p.string()
		if err != nil {
			return nil, err
		}
		if p.peek() != ':' {
			if len(object) > 0 {
				return nil, p.unexpected()
			}
			return nil, p.at("Expected ':' after property name")
		}
		p.next++
		if object[name], err = p.value(); err != nil {
			return nil, err
		}
		switch p.peek() {
		case '}':
			p.leave()
			return object, nil
		case ',':
			p.next++
		default:
			return nil, p.at("Expected ',' or '}' after property value")
		}
	}
}

func (p *parser) leave() {
	p.next++
	p.depth--
}

func (p *parser) list() (any, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	list := []any{}
	if p.peek() == ']' {
		p.leave()
		return list, nil
	}
	for {
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		switch p.peek() {
		case ']':
			p.leave()
			return list, nil
		case ',':
			p.next++
		default:
			return nil, p.at("Expected ',' or ']' after array element")
		}
	}
}

func (p *parser) number() (any, error) {
	start := p.next
	if p.text[p.next] == '-' {
		p.next++
	}
	first := p.next
	if !p.digits() {
		return nil, p.at("No number after minus sign")
	}
	if p.text[first] == '0' && p.next > first+1 {
		p.next = first + 1
		return nil, p.at("Unexpected number")
	}
	if p.is('.') {
		p.next++
		if !p.digits() {
			return nil, p.at("Unterminated fractional number")
		}
	}
	if p.is('e') || p.is('E') {
		p.next++
		if p.is('+') || p.is('-') {
			p.next++
		}
		if !p.digits() {
			return nil, p.at("Exponent part is missing a number")
		}
	}
	return json.Number(p.text[start:p.next]), nil
}

func (p *parser) is(c byte) bool { return p.next < len(p.text) && p.text[p.next] == c }

// digits reads digits, and reports whether there was one.
func (p *parser) digits() bool {
	start := p.next
	for p.next < len(p.text) && digit(p.text[p.next]) {
		p.next++
	}
	return p.next > start
}

func (p *parser) string() (string, error) {
	p.next++
	start := p.next
	var unescaped []byte // what was read before start; nil as long as nothing had to be unescaped
	for p.next < len(p.text) {
		switch c := p.text[p.next]; {
		case c == '"':
			text := p.text[start:p.next]
			p.next++
			if unescaped == nil {
				return text, nil
			}
			return string(append(unescaped, text...)), nil
		case c == '\\':
			unescaped = append(unescaped, p.text[start:p.next]...)
			p.next++
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			unescaped = utf8.AppendRune(unescaped, r)
			start = p.next
		case c < ' ':
			return "", p.at("Bad control character in string literal")
		default:
			p.next++
		}
	}
	return "", p.at("Unterminated string")
}

// escape reads what follows a backslash.
func (p *parser) escape() (rune, error) {
	if p.next >= len(p.text) {
		return 0, p.unexpected()
	}
	c := p.text[p.next]
	if c == 'u' {
		p.next++
		return p.unicode()
	}
	const escapes, meanings = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	i := strings.IndexByte(escapes, c)
	if i < 0 {
		return 0, p.at("Bad escaped character")
	}
	p.next++
	return rune(meanings[i]), nil
}

// unicode reads the digits of \uXXXX, and of the second one that makes up a character with it.
func (p *parser) unicode() (rune, error) {
	r, err := p.hex()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	rest := p.next
	if strings.HasPrefix(p.text[p.next:], `\u`) {
		p.next += len(`\u`)
		second, err := p.hex()
		if err != nil {
			return 0, err
		}
		if both := utf16.DecodeRune(r, second); both != utf8.RuneError {
			return both, nil
		}
	}
	p.next = rest
	return utf8.RuneError, nil
}

func (p *parser) hex() (rune, error) {
	var r rune
	for range 4 {
		if p.next >= len(p.text) {
			return 0, p.at("Bad Unicode escape")
		}
		switch c := p.text[p.next]; {
		case digit(c):
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, p.at("Bad Unicode escape")
		}
		p.next++
	}
	return r, nil
}
