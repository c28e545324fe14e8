package rules

import (
	"errors"
	"strings"

	"github.com/onehost/edge/edge/internal/exchange"
)

// A glob is a pattern as in ALB: "*" is any run of bytes, even none, "?" is one byte, "\" takes what follows literally.
// In a path "{name}" is one segment, as in API Gateway.
//
// It is cut at its stars. Every piece is then looked for once, from left to right: the leftmost place is always as good as
// a later one, since what a piece takes is given by where it starts. So matching takes time proportional to the length of the
// text times that of the longest piece, however many stars there are.
type glob struct {
	shown  string    // for messages: as it was written, unless it is secret
	pieces [][]token // between the stars: one piece more than there are stars
	fold   bool      // ignore ASCII case; literals are in lower case then
	lead   string    // the literals that it begins with
	shape  shape
}

// A shape tells the patterns that lead alone decides about.
type shape uint8

const (
	wild   shape = iota
	exact        // lead is all
	prefix       // lead and a star
)

// A token is a literal byte, or one of these.
type token uint16

const (
	anyByte    token = 0x100 + iota // "?"
	anySegment                      // "{name}"
)

// maxPattern bounds a pattern's length in bytes. ALB allows 128.
const maxPattern = 256

var (
	errStart       = errors.New(`has to start with "/" or "*"`)
	errDots        = errors.New(`has a segment "." or ".."; those are removed before rules are asked, so it would never match`)
	errLongPattern = errors.New("is longer than 256 bytes")
	errBackslash   = errors.New(`ends with "\"; write "\\" for the character itself`)
	errSegment     = errors.New("has a {name} that is not a whole segment; write it between slashes, as in /users/{id}/posts")
	errBrace       = errors.New(`has a "{" without a name and "}"; write {name}, or %7B for the character itself`)
	errGreedy      = errors.New(`has a greedy {name+}; write "*" for any run of characters`)
)

// pathGlob compiles a pattern for a path. Its literal parts are brought into the form that paths are matched in
// (see exchange.NormalPath): a pattern for /café holds for /caf%c3%a9. ALB respects the case of paths
// (rule-condition-types, "Path conditions").
func pathGlob(text string) (*glob, error) {
	if text == "" || text[0] != '/' && text[0] != '*' {
		return nil, errStart
	}
	for segment := range strings.SplitSeq(text, "/") {
		if segment == "." || segment == ".." {
			return nil, errDots
		}
	}
	normal := ""
	for rest := text; rest != ""; {
		n := strings.IndexAny(rest, "*?{")
		if n < 0 {
			n = len(rest)
		}
		literals, err := normalLiterals(rest[:n])
		if err != nil {
			return nil, err
		}
		special := 0
		if n < len(rest) {
			special = 1
			if rest[n] == '{' {
				if special = strings.IndexByte(rest[n:], '}') + 1; special == 0 {
					return nil, errBrace
				}
			}
		}
		normal += literals + rest[n:n+special]
		rest = rest[n+special:]
	}
	return compileGlob(normal, false, true)
}

// normalLiterals normalises a part of a path. The letters around it keep NormalPath from seeing a dot segment in what is
// only a part of one.
func normalLiterals(part string) (string, error) {
	normal, err := exchange.NormalPath("/x" + part + "x")
	if err != nil {
		return "", err
	}
	return normal[2 : len(normal)-1], nil
}

// matchPath reports whether g matches all of path.
func (g *glob) matchPath(path string) bool {
	if !strings.HasPrefix(path, g.lead) {
		return false
	}
	switch g.shape {
	case exact:
		return len(path) == len(g.lead)
	case prefix:
		return true
	default:
		return matchGlob(g, path)
	}
}

// valueGlob compiles a pattern for the value of a header field or a query parameter. ALB ignores their case
// (rule-condition-types, "HTTP header conditions", "Query string conditions").
func valueGlob(text string) (*glob, error) {
	return compileGlob(text, true, false)
}

func compileGlob(text string, fold, segments bool) (*glob, error) {
	if len(text) > maxPattern {
		return nil, errLongPattern
	}
	g := &glob{fold: fold}
	piece := []token{}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '*':
			g.pieces = append(g.pieces, piece)
			piece = []token{}
		case c == '?':
			piece = append(piece, anyByte)
		case c == '{' && segments:
			end, err := segmentEnd(text, i)
			if err != nil {
				return nil, err
			}
			piece = append(piece, anySegment)
			i = end
		case c == '\\' && !segments:
			i++
			if i == len(text) {
				return nil, errBackslash
			}
			piece = append(piece, literal(text[i], fold))
		default:
			piece = append(piece, literal(c, fold))
		}
	}
	g.pieces = append(g.pieces, piece)
	g.setShape()
	return g, nil
}

func (g *glob) setShape() {
	first := g.pieces[0]
	for _, t := range first {
		if t >= anyByte {
			break
		}
		g.lead += string([]byte{byte(t)})
	}
	switch {
	case len(g.lead) < len(first):
	case len(g.pieces) == 1:
		g.shape = exact
	case len(g.pieces) == 2 && len(g.pieces[1]) == 0:
		g.shape = prefix
	}
}

func literal(c byte, fold bool) token {
	if fold {
		c = lower(c)
	}
	return token(c)
}

// segmentEnd returns where the {name} that starts at text[i] ends.
func segmentEnd(text string, i int) (int, error) {
	n := strings.IndexByte(text[i:], '}')
	if n < 0 {
		return 0, errBrace
	}
	end := i + n
	name := text[i+1 : end]
	if strings.HasSuffix(name, "+") {
		return 0, errGreedy
	}
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r >= 0x80 || !isNameByte(byte(r)) }) {
		return 0, errBrace
	}
	if i == 0 || text[i-1] != '/' || end+1 < len(text) && text[end+1] != '/' {
		return 0, errSegment
	}
	return end, nil
}

func isNameByte(c byte) bool {
	return 'a' <= lower(c) && lower(c) <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

// text is what a glob is matched against: a part of a request, or bytes decoded from one.
type text interface{ ~string | ~[]byte }

// matchGlob reports whether g matches all of s.
func matchGlob[T text](g *glob, s T) bool {
	if len(g.pieces) == 1 {
		end, ok := matchPiece(g, g.pieces[0], s, 0)
		return ok && end == len(s)
	}
	at, ok := matchPiece(g, g.pieces[0], s, 0)
	if !ok {
		return false
	}
	last := len(g.pieces) - 1
	for _, piece := range g.pieces[1:last] {
		if at, ok = findPiece(g, piece, s, at); !ok {
			return false
		}
	}
	return endsWith(g, g.pieces[last], s, at)
}

// matchPiece matches piece at s[at:] and returns where it ends.
func matchPiece[T text](g *glob, piece []token, s T, at int) (int, bool) {
	for _, t := range piece {
		if at >= len(s) {
			return 0, false
		}
		c := s[at]
		switch {
		case t == anyByte:
			at++
		case t == anySegment:
			start := at
			for at < len(s) && s[at] != '/' {
				at++
			}
			if at == start {
				return 0, false
			}
		case token(c) == t || g.fold && token(lower(c)) == t:
			at++
		default:
			return 0, false
		}
	}
	return at, true
}

// findPiece finds the leftmost place at or after at where piece matches and returns where it ends there.
func findPiece[T text](g *glob, piece []token, s T, at int) (int, bool) {
	for ; at <= len(s); at++ {
		if end, ok := matchPiece(g, piece, s, at); ok {
			return end, true
		}
	}
	return 0, false
}

// endsWith reports whether piece matches from somewhere at or after at to the end of s.
func endsWith[T text](g *glob, piece []token, s T, at int) bool {
	if len(piece) == 0 {
		return true
	}
	start := max(at, len(s)-len(piece)) // right when every token takes one byte
	for _, t := range piece {
		if t == anySegment {
			start = at
		}
	}
	for ; start <= len(s); start++ {
		if end, ok := matchPiece(g, piece, s, start); ok && end == len(s) {
			return true
		}
	}
	return false
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}

// covers reports whether g matches everything that o matches. It may say no where yes is true, never the other way.
func (g *glob) covers(o *glob) bool {
	a, b := g.tokens(), o.tokens()
	// seen[i][j]: a[i:] was asked to cover b[j:] before, and could not.
	seen := make([]bool, (len(a)+1)*(len(b)+1))
	var covers func(i, j int) bool
	covers = func(i, j int) bool {
		if i == len(a) {
			return j == len(b)
		}
		k := i*(len(b)+1) + j
		if seen[k] {
			return false
		}
		seen[k] = true
		switch {
		case a[i] == anyRun:
			return covers(i+1, j) || j < len(b) && covers(i, j+1)
		case j == len(b) || b[j] == anyRun:
			return false
		case a[i] == anyByte:
			return b[j] != anySegment && covers(i+1, j+1)
		case a[i] == anySegment && b[j] != anySegment:
			end := j
			for end < len(b) && b[end] < anyByte && b[end] != '/' {
				end++
			}
			return end > j && covers(i+1, end)
		case a[i] == b[j]:
			return covers(i+1, j+1)
		default:
			return false
		}
	}
	return covers(0, 0)
}

// anyRun stands for a star in tokens.
const anyRun = anySegment + 1

func (g *glob) tokens() []token {
	var all []token
	for i, piece := range g.pieces {
		if i > 0 {
			all = append(all, anyRun)
		}
		all = append(all, piece...)
	}
	return all
}
