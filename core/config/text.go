package config

import (
	"encoding/base64"
	"errors"
	"mime"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// stringForm returns how a string is written that has this is tag: ONE|OTHER, or a name below. A name that ends in
// a question mark may also be left empty.
func stringForm(is string) form {
	if name, ok := strings.CutSuffix(is, "?"); ok {
		return orEmpty(stringForm(name))
	}
	f := form{tags: []string{yamlText}}
	switch is {
	case "text":
		f.wants, f.tags = "text", looseTags()
	case "value":
		f.wants, f.tags = "one line of text", looseTags()
		f.pattern = `^[^\x00-\x08\x0a-\x1f\x7f]*$`
	case "secret":
		f.wants, f.tags = "one line of text, and not empty", looseTags()
		f.pattern, f.secret = `^[^\x00-\x1f\x7f]+$`, true
	case "user":
		f.wants, f.pattern = "a name without a colon", `^[^\x00-\x1f\x7f:]+$`
	case "line":
		f.wants, f.pattern = "one line of text, and not empty", `^[^\x00-\x1f\x7f]+$`
	case "regex":
		f.wants, f.pattern = "a regular expression, and not empty", `^[^\x00]+$`
	case "word":
		f.wants, f.pattern = "one word", `^[A-Za-z0-9_][A-Za-z0-9_.-]*$`
	case "permission":
		f.wants, f.pattern = "a type and what is done with it, such as article.find or article.*", `^[A-Za-z][A-Za-z0-9_-]{0,62}\.(\*|[A-Za-z]{1,40})$`
	case "name":
		f.wants, f.pattern = "a name of letters, digits, dots, dashes and underscores", `^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`
	case "env":
		f.wants, f.pattern = "the name of an environment variable", `^[A-Za-z_][A-Za-z0-9_]{0,127}$`
	case "form":
		f.wants, f.pattern = "the name of a form's field, such as email", `^[A-Za-z0-9_-][A-Za-z0-9_.:\[\]-]{0,63}$`
	case "arn":
		f.wants = "the ARN of a Lambda function: arn:aws:lambda:REGION:ACCOUNT:function:NAME" // https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
		f.pattern = `^arn:aws[a-z-]*:lambda:[a-z]{2}(-[a-z]+)+-[0-9]+:[0-9]{12}:function:[A-Za-z0-9_-]{1,64}(:(\$LATEST|[A-Za-z0-9_-]{1,128}))?$`
	case "sha256":
		f.wants, f.pattern = "a SHA-256 in hexadecimal, as sha256sum prints it", `^[0-9a-f]{64}$`
	case "where":
		f.wants, f.pattern = "a path that begins with /, or a URL", `^(/([!-.0-\[\]-~][!-\[\]-~]*)?|https?://[!-\[\]-~]+)$`
	case "web":
		f.wants, f.pattern = "a URL such as https://example.com/page", `^https?://[!-"$-~]+$`
	case "path":
		f.wants, f.pattern = "a path that begins with /", `^/[!-"$->@-~]*$`
	case "path+query":
		f.wants, f.pattern = "a path that begins with /", `^/[!-"$-~]*$`
	case "pattern":
		f.wants, f.pattern = "a path that begins with / or *", `^[/*][^\s\x00-\x1f]*$`
	case "method":
		f.wants, f.pattern = "a method in capitals, such as GET", `^[A-Z][A-Z0-9_-]*$`
	case "token", "field":
		f.wants, f.pattern = "a name such as X-Name, without spaces", "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" // RFC 9110, section 5.6.2
	case "origin":
		f.wants, f.pattern = `an origin such as https://app.example.com, https://*.example.com or "*"`, `^(\*|[a-z][a-z0-9+.-]*://(\*\.)?[^\s/*?#@]+)$`
	default:
		return specialForm(f, is)
	}
	return f
}

// specialForm returns the forms of strings that are more than a pattern.
func specialForm(f form, is string) form {
	switch is {
	case "file":
		f.wants, f.pattern = "the path of a file or folder", `^[^\x00]+$`
		f.parse = func(text string, src *source) (any, error) { return src.resolve(text), nil }
	case "glob":
		f.wants, f.pattern = "the path of a file, or a pattern such as conf.d/*.yaml", `^[^\x00]+$`
	case "socket":
		f.wants, f.pattern = "a unix socket such as unix:/run/edge/admin.sock", `^unix:[^\x00]+$`
		f.parse = func(text string, src *source) (any, error) { return parseSocket(text, src) }
	case "address":
		f.wants, f.pattern = "an address such as :443, 127.0.0.1:8080 or [::1]:8080", `^[^\s/]*:[0-9]{1,5}$`
		f.parse = func(text string, _ *source) (any, error) { return parseAddress(text) }
	case "access":
		f.wants, f.pattern = "off, stdout or a file", `^[^\x00]+$`
		f.parse = func(text string, src *source) (any, error) {
			if text == "off" || text == "stdout" {
				return text, nil
			}
			return src.resolve(text), nil
		}
	case "target":
		f.wants, f.pattern = "a target such as http://127.0.0.1:8080, https://…, h2c://… or unix:/run/app.sock", `^(http|https|h2c)://[^\s/]+/?$|^unix:[^\x00]+$`
		f.parse = func(text string, src *source) (any, error) { return parseTarget(text, src) }
	case "host":
		f.wants, f.pattern = `a hostname, *.NAME, an IP address or "*"`, `^\S+$`
		f.parse = func(text string, _ *source) (any, error) { return ParseHost(text) }
	case "alias":
		f.wants, f.pattern = "a hostname, *.NAME or an IP address", `^(\*\.)?[^*\s]+$`
		f.parse = func(text string, _ *source) (any, error) { return ParseHost(text) }
	case "email":
		f.wants, f.pattern = "an e-mail address such as ops@example.com", `^[!#-'*+/-9=?A-Z^-~.-]+@[^\s@]+$`
		f.parse = func(text string, _ *source) (any, error) { return parseEmail(text) }
	case "mailbox":
		f.wants, f.pattern = "whose mail it is, such as ops@example.com or Ops <ops@example.com>", `^[^\x00-\x1f\x7f]+$`
		f.parse = func(text string, _ *source) (any, error) {
			if _, err := mail.ParseAddress(text); err != nil {
				return nil, errors.New("it can't be read as an address")
			}
			return text, nil
		}
	case "url":
		f.wants, f.pattern = "a URL such as https://ca.example.com/acme/directory", `^https://[^\s/#]+(/[^\s#]*)?$`
		f.parse = func(text string, _ *source) (any, error) { return parseURL(text) }
	case "hmac":
		f.wants, f.pattern, f.secret = "a key in base64url, as the CA shows it", `^[A-Za-z0-9_-]+=*$`, true
		f.parse = func(text string, _ *source) (any, error) { return parseHMAC(text) }
	case "store":
		f.wants, f.pattern, f.secret = "sqlite, or a URI such as mongodb://db1,db2,db3/edge or mongodb+srv://…", `^(sqlite|mongodb(\+srv)?://[^\s\x00-\x1f/?]+(/[^\s\x00-\x1f]*)?(\?[^\s\x00-\x1f]*)?)$`, true
		f.parse = func(text string, _ *source) (any, error) { return parseStore(text) }
	case "key":
		f.wants, f.pattern, f.secret = "32 bytes in base64, as `openssl rand -base64 32` prints them", `^[A-Za-z0-9+/_-]{43}=?$`, true
		f.parse = func(text string, _ *source) (any, error) { return parseKey(text) }
	case "media":
		f.wants, f.pattern = "a media type such as text/html; charset=utf-8", `^[!-.0-~]+/[ -~]+$`
		f.parse = func(text string, _ *source) (any, error) {
			if _, _, err := mime.ParseMediaType(text); err != nil {
				return nil, errors.New("it can't be read as one")
			}
			return text, nil
		}
	case "source":
		f.wants, f.pattern = "a source such as https://api.example.com or 'self'", `^[!-+\--:<-~]+$`
		f.parse = func(text string, _ *source) (any, error) { return parseSource(text) }
	default:
		f.words = strings.Split(is, "|")
		f.wants = list(f.words, "or")
	}
	return f
}

// looseTags are those of free text, which is taken as it is spelled, whatever YAML makes of it.
func looseTags() []string { return []string{yamlText, yamlInt, yamlFloat, yamlBool} }

// orEmpty lets the text also be empty.
func orEmpty(f form) form {
	f.wants += ", or empty"
	f.pattern = "^$|" + f.pattern
	if parse := f.parse; parse != nil {
		f.parse = func(text string, src *source) (any, error) {
			if text == "" {
				return "", nil
			}
			return parse(text, src)
		}
	}
	return f
}

// maxSocketPath is what sockaddr_un has room for, less the final NUL (unix(7)).
const maxSocketPath = 107

func parseSocket(text string, src *source) (string, error) {
	path := src.resolve(strings.TrimPrefix(text, "unix:"))
	if len(path) > maxSocketPath {
		return "", errors.New("its whole path is longer than the 107 bytes that a unix socket may have")
	}
	return "unix:" + path, nil
}

func parseAddress(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", errors.New("an IPv6 address needs brackets")
	}
	if n, err := strconv.Atoi(port); err != nil || n > 65535 {
		return "", errors.New("a port goes up to 65535")
	}
	if _, err := netip.ParseAddr(host); host == "" || err == nil {
		return text, nil
	}
	return text, checkName(host)
}

func parseTarget(text string, src *source) (string, error) {
	if strings.HasPrefix(text, "unix:") {
		return parseSocket(text, src)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", errors.New("it can't be read as a URL")
	case u.User != nil:
		return "", errors.New("a target has no user or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(text, "#"):
		return "", errors.New("a target has no query or fragment")
	case strings.HasSuffix(u.Host, ":"):
		return "", errors.New("the port is missing after the colon")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return "", errors.New("a port goes from 1 to 65535")
		}
	}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil {
		// Names in private networks often have underscores, which the public DNS's hosts may not.
		if err := checkName(strings.ReplaceAll(u.Hostname(), "_", "x")); err != nil {
			return "", err
		}
	}
	return u.Scheme + "://" + strings.ToLower(u.Host), nil
}

// ParseHost returns a host's name as the configuration has it once it is read: lower case, A-labels, an IP address in its
// short form. The error is the reason alone, without the text.
func ParseHost(text string) (string, error) {
	if text == "*" {
		return text, nil
	}
	address := strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	if addr, err := netip.ParseAddr(address); err == nil {
		if addr.Zone() != "" {
			return "", errors.New("an address has no zone here")
		}
		return addr.Unmap().String(), nil
	}
	switch {
	case strings.Contains(text, "/"):
		return "", errors.New("it is only the name, without https:// and path")
	case strings.Contains(text, ":"):
		return "", errors.New("it is only the name, without a port")
	}
	name, wild := strings.CutPrefix(text, "*.")
	if slices.ContainsFunc([]byte(name), func(c byte) bool { return c >= 0x80 }) {
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return "", errors.New("it is no valid international name")
		}
		name = ascii
	}
	name = strings.ToLower(name)
	if err := checkName(name); err != nil {
		return "", err
	}
	if wild {
		name = "*." + name
	}
	return name, nil
}

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"

// checkName says what is wrong with a DNS name (RFC 1123, section 2.1).
func checkName(name string) error {
	labels := strings.Split(name, ".")
	switch _, err := strconv.Atoi(labels[len(labels)-1]); {
	case name == "":
		return errors.New("the name is missing")
	case len(name) > 253:
		return errors.New("a name has at most 253 letters")
	case strings.HasSuffix(name, "."):
		return errors.New("it ends in a dot")
	case err == nil:
		return errors.New("it is no IP address, and no name ends in a number")
	}
	for _, label := range labels {
		switch {
		case label == "":
			return errors.New("there is nothing between two dots")
		case len(label) > 63:
			return errors.New("a part between dots has at most 63 letters")
		case strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-"):
			return errors.New("a part between dots begins or ends with a dash")
		case strings.Contains(label, "*"):
			return errors.New("a * stands only at the beginning, as in *.example.com")
		case strings.ContainsFunc(label, func(r rune) bool { return !strings.ContainsRune(nameLetters, r) }):
			return errors.New("a name has only letters, digits, dashes and dots")
		}
	}
	return nil
}

// parseEmail looks at an address as far as a CA would: the name behind the @ has to be one.
func parseEmail(text string) (string, error) {
	_, domain, _ := strings.Cut(text, "@")
	ascii, err := ParseHost(domain)
	switch {
	case err != nil:
		return "", err
	case !strings.Contains(ascii, "."):
		return "", errors.New("the name behind the @ is not a whole one")
	}
	return text, checkName(ascii)
}

func parseURL(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "":
		return "", errors.New("it can't be read as a URL")
	case u.User != nil:
		return "", errors.New("it has a user or password")
	}
	return text, nil
}

// parseHMAC returns a key in base64url without the padding, which RFC 7515 (section 2) has none of and some CAs show.
func parseHMAC(text string) (string, error) {
	text = strings.TrimRight(text, "=")
	if _, err := base64.RawURLEncoding.DecodeString(text); err != nil {
		return "", errors.New("letters of it are missing")
	}
	return text, nil
}

// parseStore refuses a URI of which a part of the password would be taken for options, and shown.
func parseStore(text string) (string, error) {
	if _, options, _ := strings.Cut(text, "?"); strings.Contains(options, "@") {
		return "", errors.New("a ? in a user or password is written %3F, and a @ among the options %40")
	}
	return text, nil
}

// parseKey returns the bytes of a key in either base64 alphabet (RFC 4648, sections 4 and 5).
func parseKey(text string) (string, error) {
	text = strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(text)
	key, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil {
		return "", errors.New("it can't be read as base64")
	}
	return string(key), nil
}

// parseSource reads one source expression of a Content-Security-Policy (CSP3, section 2.3.1).
func parseSource(text string) (string, error) {
	switch text {
	case "self", "none", "unsafe-inline", "unsafe-eval", "unsafe-hashes", "strict-dynamic", "wasm-unsafe-eval":
		return "", errors.New(`keywords have quotes of their own: "'` + text + `'"`)
	}
	return text, nil
}
