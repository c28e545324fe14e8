package signature

import (
	"encoding/json"
	"errors"
	"unicode/utf8"
)

const (
	maxDepth = 128 // of JSON that is looked into
	maxPaths = 16  // that are looked for at once
	each     = "*" // every item of a list; a path of a configuration has none
)

var (
	errNotJSON = errors.New("the body is not JSON")
	errDepth   = errors.New("the body's JSON is nested too deeply")
	errTwice   = errors.New("the body's JSON has the same name twice in an object that has to be looked into")
)

// A looker reads a JSON text once, strictly (RFC 8259, in UTF-8), and says what stands at some paths of it. It allocates nothing of its own.
// encoding/json would take a name of another case for the same, and the last of two of the same name.
type looker struct {
	text  []byte
	at    int
	paths [][]string
	found func(path int, raw []byte) error // raw is one JSON value
}

// look calls found for each value at one of the paths, the inner ones first. A part of a path is a name, an item's number, or each.
func look(text []byte, paths [][]string, found func(path int, raw []byte) error) error {
	if !utf8.Valid(text) {
		return errNotJSON
	}
	if len(paths) > maxPaths {
		return errors.New("too many paths")
	}
	l := looker{text: text, paths: paths, found: found}
	if err := l.value(0, 1<<len(paths)-1); err != nil {
		return err
	}
	l.space()
	if l.at != len(text) {
		return errNotJSON
	}
	return nil
}

func (l *looker) space() {
	for l.at < len(l.text) {
		switch l.text[l.at] {
		case ' ', '\t', '\r', '\n':
			l.at++
		default:
			return
		}
	}
}

// next takes one character.
func (l *looker) next(c byte) bool {
	if l.at < len(l.text) && l.text[l.at] == c {
		l.at++
		return true
	}
	return false
}

// value reads a value; live has a bit for each path that leads here or through here.
func (l *looker) value(depth int, live uint) error {
	if depth > maxDepth {
		return errDepth
	}
	l.space()
	if l.at == len(l.text) {
		return errNotJSON
	}
	start := l.at
	var err error
	switch c := l.text[l.at]; {
	case c == '{':
		err = l.object(depth, live)
	case c == '[':
		err = l.list(depth, live)
	case c == '"':
		_, err = l.str()
	case c == 't':
		err = l.word("true")
	case c == 'f':
		err = l.word("false")
	case c == 'n':
		err = l.word("null")
	default:
		err = l.number()
	}
	if err != nil {
		return err
	}
	for i := range l.paths {
		if live>>i&1 == 1 && len(l.paths[i]) == depth {
			if err := l.found(i, l.text[start:l.at]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *looker) object(depth int, live uint) error {
	l.at++
	l.space()
	if l.next('}') {
		return nil
	}
	seen := uint(0)
	for {
		l.space()
		name, err := l.str()
		if err != nil {
			return err
		}
		l.space()
		if !l.next(':') {
			return errNotJSON
		}
		through := uint(0)
		if live != 0 {
			through = l.named(name, depth, live)
		}
		if seen&through != 0 {
			return errTwice
		}
		seen |= through
		if err := l.value(depth+1, through); err != nil {
			return err
		}
		l.space()
		if l.next('}') {
			return nil
		}
		if !l.next(',') {
			return errNotJSON
		}
	}
}

// named returns the paths that lead through a member of an object.
func (l *looker) named(name []byte, depth int, live uint) (through uint) {
	for i, path := range l.paths {
		if live>>i&1 == 1 && len(path) > depth && path[depth] != each && equalText(name, path[depth]) {
			through |= 1 << i
		}
	}
	return through
}

func (l *looker) list(depth int, live uint) error {
	l.at++
	l.space()
	if l.next(']') {
		return nil
	}
	for item := 0; ; item++ {
		through := uint(0)
		for i, path := range l.paths {
			if live>>i&1 == 1 && len(path) > depth && (path[depth] == each || isNumber(path[depth], item)) {
				through |= 1 << i
			}
		}
		if err := l.value(depth+1, through); err != nil {
			return err
		}
		l.space()
		if l.next(']') {
			return nil
		}
		if !l.next(',') {
			return errNotJSON
		}
	}
}

// isNumber reports whether s is n as JavaScript would write it; n is 999 at most, or it is not.
func isNumber(s string, n int) bool {
	if len(s) == 0 || len(s) > 3 || len(s) > 1 && s[0] == '0' {
		return false
	}
	v := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
		v = v*10 + int(c-'0')
	}
	return v == n
}

// str reads a string, and returns it with its quotes.
func (l *looker) str() ([]byte, error) {
	start := l.at
	if !l.next('"') {
		return nil, errNotJSON
	}
	for {
		rest := l.text[l.at:]
		n := 0
		for n < len(rest) && rest[n] != '"' && rest[n] != '\\' && rest[n] >= ' ' {
			n++
		}
		l.at += n
		switch {
		case n == len(rest) || rest[n] < ' ':
			return nil, errNotJSON
		case rest[n] == '"':
			l.at++
			return l.text[start:l.at], nil
		case !l.escape():
			return nil, errNotJSON
		}
	}
}

func (l *looker) escape() bool {
	l.at++
	if l.at == len(l.text) {
		return false
	}
	c := l.text[l.at]
	l.at++
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			if l.at == len(l.text) || !isHex(l.text[l.at]) {
				return false
			}
			l.at++
		}
		return true
	}
	return false
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

func (l *looker) word(w string) error {
	if len(l.text)-l.at < len(w) || string(l.text[l.at:l.at+len(w)]) != w {
		return errNotJSON
	}
	l.at += len(w)
	return nil
}

func (l *looker) number() error {
	l.next('-')
	if !l.next('0') && !l.digits() {
		return errNotJSON
	}
	if l.next('.') && !l.digits() {
		return errNotJSON
	}
	if l.next('e') || l.next('E') {
		if !l.next('+') {
			l.next('-')
		}
		if !l.digits() {
			return errNotJSON
		}
	}
	return nil
}

func (l *looker) digits() bool {
	start := l.at
	for l.at < len(l.text) && l.text[l.at] >= '0' && l.text[l.at] <= '9' {
		l.at++
	}
	return l.at > start
}

// equalText reports whether a JSON string says s.
func equalText(raw []byte, s string) bool {
	inner := raw[1 : len(raw)-1]
	for _, c := range inner {
		if c == '\\' {
			t, ok := text(raw)
			return ok && t == s
		}
	}
	return string(inner) == s
}

// text returns what a JSON string says; false if raw is none.
func text(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	inner := raw[1 : len(raw)-1]
	for _, c := range inner {
		if c == '\\' {
			var s string
			err := json.Unmarshal(raw, &s)
			return s, err == nil
		}
	}
	return string(inner), true
}

// scalar returns what a string says, or how a number, true or false is written; false for anything else, and for what is empty.
func scalar(raw []byte) (string, bool) {
	switch raw[0] {
	case '"':
		s, ok := text(raw)
		return s, ok && s != ""
	case '{', '[', 'n':
		return "", false
	}
	return string(raw), true
}
