package strapi

import (
	"crypto/sha3"
	"encoding/hex"
	"strings"
)

// Strapi's tables and columns are called after types and attributes, in snake case as lodash makes it, and made shorter when they would be too long for
// PostgreSQL (@strapi/database, utils/identifiers).
const (
	maxIdentifier = 55
	hashed        = 5 // digits of the hash that a shortened part ends with
)

// columnName is the column of an attribute.
func columnName(attribute string) string { return identifier("", snake(attribute)) }

// tableName is the table of a type or component.
func tableName(collection string) string { return identifier("", collection) }

// linkTable is the table of a relation that an attribute of a table owns.
func linkTable(table, attribute string) string {
	return identifier("lnk", snake(table), snake(attribute))
}

// partTable is the table that says which components are parts of the rows of a table.
func partTable(table string) string { return identifier("cmps", table) }

// identifier joins names, and makes them shorter until they fit.
func identifier(suffix string, names ...string) string {
	whole := names
	if suffix != "" {
		whole = append(append([]string{}, names...), suffix)
	}
	joined := strings.Join(whole, "_")
	if len(joined) <= maxIdentifier {
		return joined
	}
	available := maxIdentifier - len(suffix) - (len(whole) - 1)
	lengths := share(available, names)
	for i, name := range names {
		whole[i] = shorten(name, lengths[i])
	}
	return strings.Join(whole, "_")
}

// share divides a number of bytes among names: those that need less leave theirs, one at a time, to the others.
func share(available int, names []string) []int {
	each, surplus := available/len(names), available%len(names)
	lengths := make([]int, len(names))
	for i, name := range names {
		lengths[i] = min(each, len(name))
		surplus += each - lengths[i]
	}
	for given := true; given && surplus > 0; {
		given = false
		for i, name := range names {
			if lengths[i] < len(name) && surplus > 0 {
				lengths[i]++
				surplus--
				given = true
			}
		}
	}
	return lengths
}

func shorten(name string, length int) string {
	if len(name) <= length || length <= hashed {
		return name
	}
	sum := make([]byte, (hashed+1)/2)
	h := sha3.NewSHAKE256()
	_, _ = h.Write([]byte(name))
	_, _ = h.Read(sum)
	return name[:length-hashed] + hex.EncodeToString(sum)[:hashed]
}

// snake writes an ASCII name as lodash's snakeCase does.
func snake(name string) string {
	var words []string
	for rest := name; rest != ""; {
		n := wordLength(rest)
		if n == 0 {
			rest = rest[1:]
			continue
		}
		words = append(words, strings.ToLower(rest[:n]))
		rest = rest[n:]
	}
	return strings.Join(words, "_")
}

// wordLength is how many bytes of s are its first word: 0 when it does not begin with one.
func wordLength(s string) int {
	switch {
	case isDigit(s[0]):
		return digitsLength(s)
	case isLower(s[0]):
		return run(s, isLower)
	case !isUpper(s[0]):
		return 0
	}
	capitals := run(s, isUpper)
	lower := run(s[capitals:], isLower)
	switch {
	case lower == 0:
		return capitals
	case capitals == 1:
		return 1 + lower
	}
	return capitals - 1 // the last one begins the next word
}

// digitsLength is a number, with st, nd, rd or th when it is an ordinal.
func digitsLength(s string) int {
	n := run(s, isDigit)
	ending := map[byte]string{'1': "st", '2': "nd", '3': "rd"}[s[n-1]]
	if ending == "" {
		ending = "th"
	}
	rest := s[n:]
	ordinal := func(ending string, other func(byte) bool) bool {
		after, ok := strings.CutPrefix(rest, ending)
		return ok && (after == "" || after[0] == '_' || other(after[0]) || !isLower(after[0]) && !isUpper(after[0]) && !isDigit(after[0]))
	}
	if ordinal(ending, isUpper) || ordinal(strings.ToUpper(ending), isLower) {
		return n + len(ending)
	}
	return n
}

func run(s string, is func(byte) bool) int {
	n := 0
	for n < len(s) && is(s[n]) {
		n++
	}
	return n
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
