package inbox

import (
	"strings"
	"unicode/utf8"
)

// redacted takes the place of what is not kept.
const redacted = "[redacted]"

// withoutSecrets returns a header in which values of credentials are redacted: what is one by its name, and the field in which a source sends its secret.
func withoutSecrets(fields []Field, own string) []Field {
	kept := make([]Field, len(fields))
	for i, f := range fields {
		if secret(f.Name) || own != "" && strings.EqualFold(f.Name, own) {
			f.Value = redacted
		}
		kept[i] = f
	}
	return kept
}

// encodeHeader writes a header as it is in HTTP/1.1 (RFC 9112, section 5), a field a line: as text, or as bytes when a value is no UTF-8. Nil when there are no fields.
func encodeHeader(fields []Field) any {
	if len(fields) == 0 {
		return nil
	}
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(oneLine(strings.ReplaceAll(f.Name, ":", "_")))
		b.WriteString(": ")
		b.WriteString(oneLine(f.Value))
		b.WriteByte('\n')
	}
	text := b.String()
	if !utf8.ValidString(text) || strings.HasPrefix(text, "\U0010FFFF") {
		return []byte(text)
	}
	return text
}

// oneLine has no ends of lines, which no field has that came over HTTP.
func oneLine(s string) string {
	if !strings.ContainsAny(s, "\r\n") {
		return s
	}
	return strings.NewReplacer("\n", " ", "\r", " ").Replace(s)
}

// decodeHeader reads what encodeHeader has written.
func decodeHeader(v any) []Field {
	text, ok := v.(string)
	if raw, isBytes := v.([]byte); isBytes {
		text, ok = string(raw), true
	}
	if !ok {
		return nil
	}
	fields := make([]Field, 0, strings.Count(text, "\n"))
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		fields = append(fields, Field{name, value})
	}
	return fields
}

// secret reports whether a field has a credential in it, by its name. Signatures are none: they are of no use for anything else, and tell why a delivery was refused.
func secret(name string) bool {
	name = strings.ToLower(name)
	if strings.Contains(name, "signature") || strings.Contains(name, "idempotency") {
		return false
	}
	for _, part := range [...]string{"authorization", "authenticat", "cookie", "token", "secret", "password", "passwd", "credential", "api-key", "apikey", "api_key", "access-key", "auth-key", "x-auth", "session", "jwt"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}
