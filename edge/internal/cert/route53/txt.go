package route53

import (
	"fmt"
	"strings"
)

// stringLen is how many bytes one string of a TXT record may have (RFC 1035 section 3.3).
const stringLen = 255

// quote writes a text as the value of a TXT record: strings in quotes, of 255 bytes each at most. Route 53 wants bytes that are
// not printable ASCII as a backslash and three octal digits, where RFC 1035 section 5.1 has decimal ones
// (https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/ResourceRecordTypes.html#TXTFormat).
func quote(text string) string {
	var b strings.Builder
	for {
		part := text[:min(len(text), stringLen)]
		text = text[len(part):]
		b.WriteByte('"')
		for i := range len(part) {
			switch c := part[i]; {
			case c == '"' || c == '\\':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c < ' ' || c > '~':
				fmt.Fprintf(&b, `\%03o`, c)
			default:
				b.WriteByte(c)
			}
		}
		b.WriteByte('"')
		if text == "" {
			return b.String()
		}
		b.WriteByte(' ')
	}
}

// unquote reads the value of a TXT record: its strings put together. It reports false for what is not one or more strings in quotes.
func unquote(value string) (string, bool) {
	var b strings.Builder
	rest := strings.TrimSpace(value)
	for first := true; first || rest != ""; first = false {
		var ok bool
		if rest, ok = strings.CutPrefix(rest, `"`); !ok {
			return "", false
		}
		if rest, ok = unquoteOne(&b, rest); !ok {
			return "", false
		}
		rest = strings.TrimLeft(rest, " \t")
	}
	return b.String(), true
}

// unquoteOne reads one string up to its closing quote and returns what follows that.
func unquoteOne(b *strings.Builder, s string) (rest string, ok bool) {
	for i := 0; i < len(s); {
		switch s[i] {
		case '"':
			return s[i+1:], true
		case '\\':
			c, size := unescape(s[i:])
			if size == 0 {
				return "", false
			}
			b.WriteByte(c)
			i += size
		default:
			b.WriteByte(s[i])
			i++
		}
	}
	return "", false
}

// unescape reads the escape that s begins with: a backslash, then three octal digits or any other byte. size is 0 when there is none.
func unescape(s string) (c byte, size int) {
	if len(s) < 2 || s[0] != '\\' {
		return 0, 0
	}
	if len(s) >= 4 && s[1] >= '0' && s[1] <= '3' && isOctal(s[2]) && isOctal(s[3]) {
		return (s[1]-'0')<<6 | (s[2]-'0')<<3 | (s[3] - '0'), 4
	}
	return s[1], 2
}

func isOctal(c byte) bool { return c >= '0' && c <= '7' }

// plainName reads a name as Route 53 returns it: in lower case, with \052 for an asterisk
// (https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html).
func plainName(name string) string {
	if !strings.Contains(name, `\`) {
		return canonical(name)
	}
	var b strings.Builder
	for i := 0; i < len(name); {
		c, size := unescape(name[i:])
		if size == 0 {
			c, size = name[i], 1
		}
		b.WriteByte(c)
		i += size
	}
	return canonical(b.String())
}
