// Package http1 is the syntax of HTTP/1.1 messages (RFC 9112) as far as both sides of edge read it: buffered input, chunked
// bodies, and the heads of answers.
//
// It is strict: what two readers could take for two different messages is an error. In comes what turns bytes into the parts of
// a message; what to make of them, and whose fault an error is, front and proxy know.
package http1

import (
	"errors"

	"github.com/onehost/edge/edge/internal/exchange"
)

// ErrMalformed says that bytes are no message, or one that can be read in more than one way.
var ErrMalformed = errors.New("malformed HTTP/1.1 message")

// malformed is an ErrMalformed that says what is wrong.
type malformed string

func (m malformed) Error() string      { return ErrMalformed.Error() + ": " + string(m) }
func (malformed) Is(target error) bool { return target == ErrMalformed }

const (
	errLineEnd = malformed("a line of the head does not end with CR LF")
	errHead    = malformed("the status line or a field is none")
	errFraming = malformed("Content-Length and Transfer-Encoding do not say one thing")
	errChunk   = malformed("a chunk or a trailer is none")
)

// scanField takes the name and the value (RFC 9112, section 5) that s begins with, and returns what follows them: a line's end,
// unless the field is malformed. A line that goes on the one before (obs-fold) is as malformed as whitespace before the colon:
// both have been read in two ways.
func scanField(s string) (name, value, rest string, ok bool) {
	i := 0
	for i < len(s) && inName[s[i]] {
		i++
	}
	if i == 0 || i == len(s) || s[i] != ':' {
		return "", "", s, false
	}
	name, s = s[:i], s[i+1:]
	for s != "" && isBlank(s[0]) {
		s = s[1:]
	}
	text := s[:textLen(s)]
	return name, trimEnd(text), s[len(text):], true
}

// textLen is how many bytes of s, from the first, may stand in a field's value or a reason phrase.
func textLen(s string) int {
	for i := range len(s) {
		if !inValue[s[i]] {
			return i
		}
	}
	return len(s)
}

// What names and values consist of, as exchange.IsToken and exchange.IsFieldValue say. Neither is ever changed.
var (
	inName  = tableOf(exchange.IsToken)
	inValue = tableOf(exchange.IsFieldValue)
)

func tableOf(is func(string) bool) (t [256]bool) {
	for c := range t {
		t[c] = is(string([]byte{byte(c)}))
	}
	return t
}

// Trim removes optional whitespace (RFC 9110, section 5.6.3).
func Trim(s string) string {
	for s != "" && isBlank(s[0]) {
		s = s[1:]
	}
	return trimEnd(s)
}

func trimEnd(s string) string {
	for s != "" && isBlank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// HexDigit returns the value of a hexadecimal digit, or -1.
func HexDigit(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
