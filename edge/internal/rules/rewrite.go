package rules

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/reply"
)

// rewrite changes the path or the host that the action gets to see, as ALB's transforms do (rule-transforms): with a regular
// expression its first match is replaced, without a match nothing changes, and a result that is no path or no host
// is answered 500. It works on the normalised path, so that an odd spelling of a path can't get by unrewritten.
//
// The target learns the host that the visitor asked for from X-Forwarded-Host. The query is kept. One that the new path brings along comes first, as in nginx's rewrite.
type rewrite struct {
	regex *regexp.Regexp // nil: all is replaced
	path  *replacement   // nil: stays
	host  *replacement   // nil: stays
}

// serve runs action on the rewritten request. Afterwards the request is what it was: the access log shows what was asked for.
func (w *rewrite) serve(x *exchange.Exchange, action exchange.Handler) {
	r := &x.Request
	before := [...]string{r.RawPath, r.Path, r.RawQuery, r.Host, r.Hostname}
	hadQuery := r.HasQuery
	defer func() {
		r.RawPath, r.Path, r.RawQuery, r.Host, r.Hostname = before[0], before[1], before[2], before[3], before[4]
		r.HasQuery = hadQuery
	}()
	if err := w.apply(r); err != nil {
		reply.Error(x, 500, "rewrite")
		return
	}
	action.ServeExchange(x)
}

var errRewrittenHost = errors.New("the result is not a hostname")

func (w *rewrite) apply(r *exchange.Request) error {
	if w.host != nil {
		if host, matched := w.host.replace(w.regex, r.Hostname); matched {
			hostname, ok := exchange.NormalHostname(host)
			if !ok {
				return errRewrittenHost
			}
			if !r.Fields.Has("X-Forwarded-Host") { // what a trusted proxy says of it stays
				r.Fields.Add("X-Forwarded-Host", r.Host)
			}
			r.Host, r.Hostname = host, hostname
		}
	}
	if w.path == nil {
		return nil
	}
	target, matched := w.path.replace(w.regex, r.Path)
	if !matched {
		return nil
	}
	raw, query, hasQuery := strings.Cut(target, "?")
	path, err := exchange.NormalPath(raw)
	if err != nil {
		return err
	}
	r.RawPath, r.Path = raw, path
	if hasQuery && query != "" {
		if r.RawQuery != "" {
			query += "&" + r.RawQuery
		}
		r.RawQuery, r.HasQuery = query, true
	}
	return nil
}

// A replacement is text with references to what a regular expression matched: $1, ${1}, ${name}; $$ is a dollar sign.
// Unlike in regexp.Expand "$1x" is group 1 and an x, as in ALB and nginx.
type replacement struct {
	text  string
	parts []replacementPart
}

// A replacementPart is a literal, or a group of the regular expression if that is not negative.
type replacementPart struct {
	literal string
	group   int
}

func newReplacement(text string, regex *regexp.Regexp) (*replacement, error) {
	p := &replacement{text: text}
	for rest := text; rest != ""; {
		before, after, found := strings.Cut(rest, "$")
		if before != "" {
			p.parts = append(p.parts, replacementPart{before, -1})
		}
		if !found {
			break
		}
		if strings.HasPrefix(after, "$") {
			p.parts = append(p.parts, replacementPart{"$", -1})
			rest = after[1:]
			continue
		}
		name, remaining, ok := reference(after)
		if !ok {
			return nil, errors.New(`has a "$" that is no reference; write $1 or ${name} for a group, $$ for the character itself`)
		}
		group := groupIndex(regex, name)
		if group < 0 {
			return nil, fmt.Errorf("refers to group %s, which the regex does not have", name)
		}
		p.parts = append(p.parts, replacementPart{"", group})
		rest = remaining
	}
	return p, nil
}

// reference reads the name of a group at the beginning of s, behind the dollar sign.
func reference(s string) (name, rest string, ok bool) {
	if strings.HasPrefix(s, "{") {
		name, rest, ok = strings.Cut(s[1:], "}")
		return name, rest, ok && name != ""
	}
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return s[:n], s[n:], n > 0
}

func groupIndex(regex *regexp.Regexp, name string) int {
	if regex == nil {
		return -1
	}
	if n, err := strconv.Atoi(name); err == nil {
		if 0 <= n && n <= regex.NumSubexp() {
			return n
		}
		return -1
	}
	return regex.SubexpIndex(name)
}

// replace returns subject with the first match of regex replaced, and whether there was one. Without regex all is replaced.
func (p *replacement) replace(regex *regexp.Regexp, subject string) (string, bool) {
	if regex == nil {
		return p.text, true
	}
	match := regex.FindStringSubmatchIndex(subject)
	if match == nil {
		return "", false
	}
	var out strings.Builder
	out.Grow(len(subject) + len(p.text))
	out.WriteString(subject[:match[0]])
	inQuery := false
	for _, part := range p.parts {
		if part.group < 0 {
			out.WriteString(part.literal)
			inQuery = inQuery || strings.Contains(part.literal, "?")
		} else if from, to := match[2*part.group], match[2*part.group+1]; from >= 0 {
			writeCapture(&out, subject[from:to], inQuery)
		}
	}
	writeCapture(&out, subject[match[1]:], inQuery)
	return out.String(), true
}

// writeCapture writes a part of the subject. In a query it must not become another parameter.
func writeCapture(out *strings.Builder, s string, inQuery bool) {
	if !inQuery {
		out.WriteString(s)
		return
	}
	for i := range len(s) {
		switch c := s[i]; c {
		case '&':
			out.WriteString("%26")
		case '+':
			out.WriteString("%2B")
		case ';':
			out.WriteString("%3B")
		default:
			out.WriteByte(c)
		}
	}
}

// newRewrite compiles c; what is wrong is told to wrong with the key that it is in. show quotes the value of a key.
func newRewrite(c *config.Rewrite, wrong func(message, key string), show func(text, key string) string) *rewrite {
	w := &rewrite{}
	if c.Regex != "" {
		regex, err := regexp.Compile(c.Regex)
		if err != nil {
			wrong("rewrite: "+regexProblem(err, show(c.Regex, "regex")), "regex")
			return nil
		}
		w.regex = regex
		if c.Path != "" && c.Host != "" {
			wrong("rewrite: with a regex say either path or host; the regex is for one of them", "regex")
		}
	}
	if c.Path == "" && c.Host == "" {
		wrong("rewrite: say what to rewrite to: path or host", "")
	}
	compile := func(text, key string, check func(string) error) *replacement {
		if text == "" {
			return nil
		}
		var p *replacement
		var err error
		if w.regex == nil {
			p, err = &replacement{text: text}, check(text)
		} else {
			p, err = newReplacement(text, w.regex)
		}
		if err != nil {
			wrong(fmt.Sprintf("rewrite: %s %s %v", key, show(text, key), err), key)
		}
		return p
	}
	w.path = compile(c.Path, "path", checkNewPath)
	w.host = compile(c.Host, "host", checkNewHost)
	return w
}

func checkNewPath(text string) error {
	raw, query, _ := strings.Cut(text, "?")
	if _, err := exchange.NormalPath(raw); err != nil {
		return fmt.Errorf("is refused: %w", err)
	}
	return checkURLText(query)
}

func checkNewHost(text string) error {
	if _, ok := exchange.NormalHostname(text); !ok {
		return errors.New("is not a hostname")
	}
	return nil
}

// checkURLText refuses bytes that no URL has (RFC 3986, section 2).
func checkURLText(s string) error {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte("\"<>\\^`{|}#", s[i]) >= 0 {
			return fmt.Errorf("has %q, which has to be percent-encoded in a URL", s[i])
		}
	}
	return nil
}

// regexProblem says what is wrong with a regular expression that is shown so.
func regexProblem(err error, shown string) string {
	var e *syntax.Error
	if !errors.As(err, &e) {
		return shown + " is not a regular expression (RE2)"
	}
	return shown + " is not a regular expression (RE2): " + e.Code.String()
}
