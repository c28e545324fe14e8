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
var ErrMalformed = errors.New("http1: malformed message")

// parseField splits a line into name and value (RFC 9112, section 5). A line that goes on the one before (obs-fold) is as
// malformed as whitespace before the colon: both have been read in two ways.
func parseField(line string) (name, value string, err error) {
	for i := range len(line) {
		if line[i] == ':' {
			name, value = line[:i], trim(line[i+1:])
			if !exchange.IsToken(name) || !exchange.IsFieldValue(value) {
				break
			}
			return name, value, nil
		}
	}
	return "", "", ErrMalformed
}

// trim removes optional whitespace (RFC 9110, section 5.6.3).
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// hexDigit returns the value of a hexadecimal digit, or -1.
func hexDigit(c byte) int {
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
