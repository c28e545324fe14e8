package signature

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A rewrite is something that a body may have been before somebody wrote it anew. It returns nil if it does not apply.
type rewrite struct {
	say string
	do  func([]byte) []byte
}

// rewrites are those of any body, and then those of JSON: how it is laid out, and how its texts are written.
func rewrites() []rewrite {
	bom := []byte("\xef\xbb\xbf")
	all := []rewrite{
		{"without the line break at its end", func(b []byte) []byte { return bytes.TrimRight(b, "\r\n") }},
		{`with \n at its end`, func(b []byte) []byte { return append(bytes.TrimRight(b, "\r\n"), '\n') }},
		{`with \r\n at its end`, func(b []byte) []byte { return append(bytes.TrimRight(b, "\r\n"), "\r\n"...) }},
		{`with \r\n where it has \n`, func(b []byte) []byte { return crlf(b) }},
		{`with \n where it has \r\n`, func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }},
		{"without white space around it", bytes.TrimSpace},
		{"without the byte order mark", func(b []byte) []byte { return bytes.TrimPrefix(b, bom) }},
		{"with a byte order mark", func(b []byte) []byte { return append(slices.Clone(bom), b...) }},
		{"with + for %20", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("%20"), []byte("+")) }},
		{"with %20 for +", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("+"), []byte("%20")) }},
		{"in ISO 8859-1", latin1},
		{"left out", func([]byte) []byte { return []byte{} }},
	}
	same := rewrite{"", func(b []byte) []byte { return b }}
	layouts := []rewrite{
		same,
		{"as JSON without white space", compact},
		{"as JSON with a space after , and :", spaced},
		{"as JSON indented by two spaces", func(b []byte) []byte { return indented(b, "  ") }},
		{"as JSON indented by four spaces", func(b []byte) []byte { return indented(b, "    ") }},
		{"as JSON with sorted names", sorted},
		{`as JSON without white space and with \n at its end`, func(b []byte) []byte { return append(compact(b), '\n') }},
	}
	texts := []rewrite{
		same,
		{`with \u… for what is not ASCII`, escaped},
		{`with characters for \u…`, unescaped},
		{`with \u003c, \u003e and \u0026 for <, > and &`, markup},
		{`with <, > and & for \u003c, \u003e and \u0026`, func(b []byte) []byte { return strip(b, `\u003c`, "<", `\u003e`, ">", `\u0026`, "&") }},
		{`with \/ for /`, func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("/"), []byte(`\/`)) }},
		{`with / for \/`, func(b []byte) []byte { return strip(b, `\/`, "/") }},
		{`with \/ for / and \u… for what is not ASCII`, func(b []byte) []byte { return escaped(bytes.ReplaceAll(b, []byte("/"), []byte(`\/`))) }},
	}
	for _, layout := range layouts {
		for _, t := range texts {
			all = append(all, rewrite{strings.Trim(layout.say+", "+t.say, ", "), func(b []byte) []byte {
				if !json.Valid(b) {
					return nil
				}
				return t.do(layout.do(b))
			}})
		}
	}
	return all
}

func crlf(b []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}

func strip(b []byte, pairs ...string) []byte {
	return []byte(strings.NewReplacer(pairs...).Replace(string(b)))
}

func latin1(b []byte) []byte {
	var out []byte
	for _, r := range string(b) {
		if r > 0xff {
			return nil
		}
		out = append(out, byte(r))
	}
	return out
}

func compact(b []byte) []byte {
	var out bytes.Buffer
	_ = json.Compact(&out, b) // it is valid
	return out.Bytes()
}

func indented(b []byte, by string) []byte {
	var out bytes.Buffer
	_ = json.Indent(&out, compact(b), "", by) // it is valid
	return out.Bytes()
}

// spaced is how Python writes JSON.
func spaced(b []byte) (out []byte) {
	inside, slash := false, false
	for _, c := range compact(b) {
		out = append(out, c)
		switch {
		case slash:
			slash = false
		case inside && c == '\\':
			slash = true
		case c == '"':
			inside = !inside
		case !inside && (c == ',' || c == ':'):
			out = append(out, ' ')
		}
	}
	return out
}

func sorted(b []byte) []byte {
	var value any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if d.Decode(&value) != nil {
		return nil
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if e.Encode(value) != nil {
		return nil
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

func escaped(b []byte) (out []byte) {
	for _, r := range string(b) {
		switch {
		case r < utf8.RuneSelf:
			out = append(out, byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// jsonEscape is one in JSON, of which two may be one character.
var jsonEscape = regexp.MustCompile(`\\(\\|(u[dD][89abAB]..\\u[dD][c-fC-F]..|u....))`)

// unescaped writes what is beyond ASCII as it is.
func unescaped(b []byte) []byte {
	return jsonEscape.ReplaceAllFunc(b, func(escape []byte) []byte {
		var s string
		if json.Unmarshal([]byte(`"`+string(escape)+`"`), &s) != nil || s < "\u0080" {
			return escape
		}
		return []byte(s)
	})
}

// markup is how Go writes JSON.
func markup(b []byte) []byte {
	var out bytes.Buffer
	json.HTMLEscape(&out, b)
	return out.Bytes()
}

// longToken is what may be a signature.
var longToken = regexp.MustCompile(`[0-9A-Za-z+/_-]{26,}={0,2}`)

// resigned returns what the value of a field could be if its signatures were written in another way.
func resigned(value, prefix string) (all []rewritten) {
	add := func(say, v string) {
		if v != value {
			all = append(all, rewritten{say, v})
		}
	}
	add("without the white space and quotes around it", strings.Trim(value, " \t\"'"))
	if prefix != "" && !strings.HasPrefix(value, prefix) {
		add("with "+prefix+" before it", prefix+value)
	}
	if before, after, ok := strings.Cut(value, "="); ok && !strings.ContainsAny(before, ",; ") && after != "" && strings.Trim(after, "=") != "" {
		add("without "+before+"= before it", after)
		add("with "+prefix+" and not "+before+"= before it", prefix+after)
	}
	for in, say := range map[encoding]string{inHex: "in hexadecimal, and not in Base64", inBase64: "in Base64, and not in hexadecimal or base64url"} {
		add(say, longToken.ReplaceAllStringFunc(value, func(token string) string {
			b, ok := digest(token)
			switch {
			case !ok:
				return token
			case in == inHex:
				return hex.EncodeToString(b)
			}
			return base64.StdEncoding.EncodeToString(b)
		}))
	}
	return all
}

// A rewritten is a field's value that was changed, and how.
type rewritten struct{ say, value string }

// digest reads what has the length of a signature, in whatever it is written.
func digest(token string) ([]byte, bool) {
	sizes := []int{20, 32, 48, 64}
	if b, err := hex.DecodeString(token); err == nil && slices.Contains(sizes, len(b)) {
		return b, true
	}
	bare := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(token, "="))
	b, err := base64.RawStdEncoding.DecodeString(bare)
	return b, err == nil && slices.Contains(sizes, len(b))
}

// wordings are what a secret could have been before somebody copied it.
func wordings(secret string) (all []rewritten) {
	add := func(say, s string) {
		if s != secret && s != "" {
			all = append(all, rewritten{say, s})
		}
	}
	trimmed := strings.TrimSpace(secret)
	add("without the white space around it", trimmed)
	add("without the quotes around it", strings.Trim(trimmed, `"'`))
	add("with a line break at its end", secret+"\n")
	for _, prefix := range []string{"whsec_", "sha256=", "Bearer "} {
		if bare, ok := strings.CutPrefix(trimmed, prefix); ok {
			add("without "+strings.TrimSpace(prefix)+" before it", bare)
		}
	}
	add("with whsec_ before it", "whsec_"+trimmed)
	if b, err := hex.DecodeString(trimmed); err == nil {
		add("as the bytes that it says in hexadecimal", string(b))
		add("as the bytes that it says in hexadecimal", "whsec_"+base64.StdEncoding.EncodeToString(b))
	}
	if b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(trimmed, "whsec_")); err == nil {
		add("as the bytes that it says in Base64", string(b))
	}
	add("as it is written, and not as the bytes that it says in Base64", "whsec_"+base64.StdEncoding.EncodeToString([]byte(trimmed)))
	add("without whsec_ and as it is written", "whsec_"+base64.StdEncoding.EncodeToString([]byte(strings.TrimPrefix(trimmed, "whsec_"))))
	return all
}

// otherURLs are what the source may have been given for the URL that was asked: a proxy before edge takes off TLS, maps ports and paths.
func otherURLs(address string) (all []rewritten) {
	_, rest, ok := strings.Cut(address, "://")
	if !ok {
		return nil
	}
	base, query, has := strings.Cut(rest, "?")
	host, path, _ := strings.Cut(base, "/")
	path = "/" + path
	bare := host
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		bare = host[:colon]
	}
	queries := []string{""}
	if has {
		queries = []string{"?" + query, ""}
	}
	bases := slices.Compact([]string{bare, host, bare + ":443", bare + ":80", bare + ":8443", bare + ":8080"})
	for _, q := range queries {
		for _, p := range slices.Compact([]string{path, strings.TrimRight(path, "/"), path + "/"}) {
			for _, h := range bases {
				for _, scheme := range []string{"https://", "http://"} {
					if u := scheme + h + p + q; u != address {
						all = append(all, rewritten{u, u})
					}
				}
			}
		}
	}
	return all
}
