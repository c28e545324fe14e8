package mongodb

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/onehost/edge/core/store"
)

// textOperators are the operators that find a text in a string. Whole and Prefix, where case matters, are ranges of an index.
func textOperators(f store.Text) bson.D {
	switch {
	case f.Fold || f.Op == store.Contains || f.Op == store.Suffix:
		return bson.D{{Key: "$regex", Value: textPattern(f)}}
	case f.Op == store.Prefix:
		return prefixRange(f.Value)
	}
	return bson.D{{Key: "$eq", Value: f.Value}}
}

// textPattern is a pattern of PCRE, which MongoDB's are. It knows ^ and $ only as \A and \z, which don't stop at line ends.
func textPattern(f store.Text) bson.Regex {
	pattern := regexp.QuoteMeta(f.Value)
	if f.Fold {
		pattern = anyCase(f.Value)
	}
	if f.Op == store.Whole || f.Op == store.Prefix {
		pattern = `\A` + pattern
	}
	if f.Op == store.Whole || f.Op == store.Suffix {
		pattern += `\z`
	}
	if f.Fold {
		return bson.Regex{Pattern: pattern, Options: "i"}
	}
	return bson.Regex{Pattern: pattern}
}

// anyCase is a pattern, for use with the option i, that names all cases of a letter outside ASCII: which ones the server knows depends on
// its version.
func anyCase(text string) string {
	var b strings.Builder
	for _, r := range text {
		if next := unicode.SimpleFold(r); r < utf8.RuneSelf || next == r {
			b.WriteString(regexp.QuoteMeta(string(r)))
			continue
		}
		b.WriteString("(?:" + string(r))
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			b.WriteString("|" + string(next))
		}
		b.WriteByte(')')
	}
	return b.String()
}

// prefixRange holds for the strings from prefix on, up to the first that comes after all those with the prefix.
func prefixRange(prefix string) bson.D {
	operators := bson.D{{Key: "$gte", Value: prefix}}
	if after, ok := following(prefix); ok {
		operators = append(operators, bson.E{Key: "$lt", Value: after})
	}
	return operators
}

// following returns the first string that comes after all strings with that prefix, if there is one.
func following(prefix string) (string, bool) {
	for prefix != "" {
		r, n := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-n]
		switch r {
		case utf8.MaxRune:
			continue
		case 0xD7FF: // before the surrogates, which are no characters
			return prefix + "\uE000", true
		}
		return prefix + string(r+1), true
	}
	return "", false
}
