package http1

import (
	"bytes"
	"cmp"
	"strings"

	"github.com/onehost/edge/edge/internal/exchange"
)

// FindHead returns the length of the head with its empty line that b begins with, 0 if more is needed. from is where to go on
// looking: what FindHead returned as next before. Lines end with CRLF; a bare LF is malformed, since an app that lets a
// visitor put one into a field would let him write fields, and answers, of his own.
func FindHead(b []byte, from int) (size, next int, err error) {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return 0, len(b), nil
		}
		lf := from + i
		if lf == 0 || b[lf-1] != '\r' {
			return 0, 0, errLineEnd
		}
		if lf == 1 {
			return 0, 0, errHead // nothing before the empty line
		}
		if lf >= 3 && b[lf-2] == '\n' {
			return lf + 1, 0, nil
		}
		from = lf + 1
	}
}

// An Answer is what the head of an answer says.
type Answer struct {
	Status  int
	Fields  exchange.Fields // without hop-by-hop and framing ones (RFC 9110, section 7.6.1); Parse appends
	Length  int64           // Content-Length; -1 without one
	Chunked bool            // Transfer-Encoding
	Close   bool            // the connection ends with it
	Upgrade string          // as sent
	Trailer string          // the first Trailer field
}

// Limits of an answer's head beside its size.
const (
	maxFields            = 256
	maxConnectionOptions = 32
)

// Parse reads a whole head, of which all strings are parts.
//
// Malformed is, beyond what isn't HTTP/1.0 or 1.1: Content-Length twice with different values, or together with
// Transfer-Encoding; a Transfer-Encoding other than chunked, or of HTTP/1.0 (RFC 9112, sections 6.1 and 6.3); an obs-fold.
func (a *Answer) Parse(head string) error {
	*a = Answer{Fields: a.Fields, Length: -1}
	kept := len(a.Fields)
	p := answerParser{Answer: a}
	rest, ok := p.statusLine(head)
	for count := 0; ok && rest != lineEnd; count++ {
		var name, value string
		name, value, rest, ok = scanField(rest)
		if ok = ok && count < maxFields && p.field(name, value); ok {
			rest, ok = strings.CutPrefix(rest, lineEnd)
		}
	}
	if !ok {
		return cmp.Or(p.wrong, errHead)
	}
	return p.judge(kept)
}

const lineEnd = "\r\n"

// answerParser is what matters of an answer only while it is parsed.
type answerParser struct {
	*Answer
	wrong      malformed // "" for what has no name of its own
	http10     bool
	keepAlive  bool
	options    [maxConnectionOptions]string // other fields that Connection names
	optionsLen int
}

// statusLine takes version SP status [ SP reason ] with its line end. Many a server leaves the space before an empty reason out.
func (p *answerParser) statusLine(head string) (rest string, ok bool) {
	const version = len("HTTP/1.1 ")
	if len(head) < version+3 {
		return "", false
	}
	switch head[:version] {
	case "HTTP/1.1 ":
	case "HTTP/1.0 ":
		p.http10 = true
	default:
		return "", false
	}
	for _, c := range []byte(head[version : version+3]) {
		if !isDigit(c) {
			return "", false
		}
		p.Status = 10*p.Status + int(c-'0')
	}
	if p.Status < 100 || p.Status > 599 {
		return "", false
	}
	if rest = head[version+3:]; strings.HasPrefix(rest, " ") {
		rest = rest[textLen(rest):]
	}
	return strings.CutPrefix(rest, lineEnd)
}

// field keeps a field of the answer's content and takes what one of the connection or the framing says.
func (p *answerParser) field(name, value string) bool {
	if !exchange.IsFraming(name) && !exchange.EqualName(name, "Proxy-Authenticate") {
		p.Fields = append(p.Fields, exchange.Field{Name: name, Value: value})
		return true
	}
	switch is := exchange.EqualName; {
	case is(name, "Content-Length"):
		n, ok := parseLength(value)
		if !ok || p.Length >= 0 && n != p.Length {
			p.wrong = errFraming
			return false
		}
		p.Length = n
	case is(name, "Transfer-Encoding"):
		if p.Chunked || !is(value, "chunked") {
			p.wrong = errFraming
			return false
		}
		p.Chunked = true
	case is(name, "Connection"):
		return p.connection(value)
	case is(name, "Upgrade"):
		p.Upgrade = value
	case is(name, "Trailer"):
		p.Trailer = value
	}
	return true
}

// parseLength takes 1 to 18 digits: no sign, no list, no overflow (RFC 9110, section 8.6).
func parseLength(value string) (n int64, ok bool) {
	if value == "" || len(value) > 18 {
		return 0, false
	}
	for i := range len(value) {
		if !isDigit(value[i]) {
			return 0, false
		}
		n = 10*n + int64(value[i]-'0')
	}
	return n, true
}

func (p *answerParser) connection(value string) bool {
	for option := range strings.SplitSeq(value, ",") {
		switch option = Trim(option); {
		case option == "":
		case exchange.EqualName(option, "close"):
			p.Close = true
		case exchange.EqualName(option, "keep-alive"):
			p.keepAlive = true
		case p.optionsLen == len(p.options):
			return false
		default:
			p.options[p.optionsLen] = option
			p.optionsLen++
		}
	}
	return true
}

// judge is what can be said only when all fields are known. Fields from kept on are the answer's.
func (p *answerParser) judge(kept int) error {
	if p.Chunked && (p.Length >= 0 || p.http10) {
		return errFraming
	}
	bodyToCome := p.Status == 204 && (p.Chunked || p.Length > 0) // which would be taken for the next answer
	p.Close = p.Close || p.http10 && !p.keepAlive || bodyToCome
	for _, option := range p.options[:p.optionsLen] {
		own := p.Fields[kept:]
		own.Del(option)
		p.Fields = p.Fields[:kept+len(own)]
	}
	return nil
}
