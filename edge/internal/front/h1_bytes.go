package front

import (
	"strings"

	"github.com/onehost/edge/edge/internal/http1"
)

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// hasToken says whether a comma-separated list has token.
func hasToken(list, token string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(http1.Trim(t), token) {
			return true
		}
	}
	return false
}

// listsFraming says whether a Trailer field announces what must not be in trailers (RFC 9110, section 6.5.1).
func listsFraming(list string) bool {
	return hasToken(list, contentLength) || hasToken(list, transferEncoding) || hasToken(list, "trailer")
}

// looksLikeFraming says whether name is Transfer-Encoding or Content-Length but for what is no letter: some servers
// take "Transfer_Encoding" or "Content-Length " for the real one. As ALB's guardian does ("SameLetters"), it also
// knows the two letters outside ASCII that become ASCII in upper case.
func looksLikeFraming(name string) bool {
	if len(name) < len("contentlength") {
		return false
	}
	return sameLetters(name, "contentlength") || sameLetters(name, "transferencoding")
}

func sameLetters(name, letters string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i] | 0x20
		switch {
		case strings.HasPrefix(name[i:], "ſ"):
			c = 's'
			i++
		case strings.HasPrefix(name[i:], "ı"):
			c = 'i'
			i++
		case isDigit(c):
			return false
		case c < 'a' || c > 'z':
			continue
		}
		if letters == "" || c != letters[0] {
			return false
		}
		letters = letters[1:]
	}
	return letters == ""
}
