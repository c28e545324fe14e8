package rules

import "strings"

// matchEncoded reports whether one of globs matches s, a key or value of a query, once it is decoded.
func matchEncoded(s string, globs ...*glob) bool {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return matchAny(globs, s)
	}
	var room [512]byte
	return matchAny(globs, decodeQuery(room[:0], s))
}

// decodeQuery appends s as application/x-www-form-urlencoded has it (WHATWG URL, section 5.1): "+" is a space,
// a percent sign without two hexadecimal digits is one.
func decodeQuery(to []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(s):
			high, low := unhex(s[i+1]), unhex(s[i+2])
			if high < 16 && low < 16 {
				c = high<<4 | low
				i += 2
			}
		}
		to = append(to, c)
	}
	return to
}

// unhex returns the value of a hexadecimal digit, or 16 for what is none.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= lower(c) && lower(c) <= 'f':
		return lower(c) - 'a' + 10
	}
	return 16
}
