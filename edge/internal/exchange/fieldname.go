package exchange

// IsToken reports whether s is what a field name has to be (RFC 9110, section 5.6.2).
func IsToken(s string) bool {
	for i := range len(s) {
		if !tokenByte[s[i]] {
			return false
		}
	}
	return s != ""
}

// IsTokenByte reports whether c may be in a token.
func IsTokenByte(c byte) bool { return tokenByte[c] }

// tokenByte is plainByte and more. It is never changed.
var tokenByte = func() (t [256]bool) {
	t = plainByte
	for _, c := range []byte("!#$%&'*+.^_`|~") {
		t[c] = true
	}
	return t
}()

// IsPlainName reports whether a field name is of letters, digits and hyphens, as ALB's drop_invalid_header_fields wants it:
// CGI and its heirs read X_Forwarded_For as X-Forwarded-For.
func IsPlainName(name string) bool {
	for i := range len(name) {
		if !plainByte[name[i]] {
			return false
		}
	}
	return name != ""
}

// plainByte holds for letters, digits and hyphens. It is never changed.
var plainByte = func() (t [256]bool) {
	for _, c := range []byte("-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t[c] = true
	}
	return t
}()

// IsFieldValue reports whether s may be a field's value: it has no control bytes but tabs (RFC 9110, section 5.5).
func IsFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// IsFraming reports whether a field is about one connection or the framing of one message, which each side of edge
// has its own of (RFC 9110, sections 7.6.1 and 8.6; RFC 9112, sections 6 and 7.1.2): the fronts and the way to the target
// make it, and a second opinion on it is how requests are smuggled.
func IsFraming(name string) bool {
	switch len(name) {
	case 2:
		return EqualName(name, "TE")
	case 7:
		return EqualName(name, "Upgrade") || EqualName(name, "Trailer")
	case 10:
		return EqualName(name, "Connection") || EqualName(name, "Keep-Alive")
	case 14:
		return EqualName(name, "Content-Length") || EqualName(name, "HTTP2-Settings")
	case 16:
		return EqualName(name, "Proxy-Connection")
	case 17:
		return EqualName(name, "Transfer-Encoding")
	default:
		return false
	}
}
