package front

import "strings"

// isToken says which bytes a token may have (RFC 9110, section 5.6.2).
var isToken = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

func isTokenString(s string) bool {
	for i := range len(s) {
		if !isToken[s[i]] {
			return false
		}
	}
	return s != ""
}

// validValue says whether s may be a field's value: no control characters but tabs (RFC 9110, section 5.5).
func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
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

// hasToken says whether a comma-separated list has token.
func hasToken(list, token string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(trim(t), token) {
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
