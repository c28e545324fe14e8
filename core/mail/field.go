package mail

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	lineLength = 76  // characters of a line that a field is folded at (RFC 5322, section 2.1.1 and RFC 2047, section 2 have 78 and 76)
	wordLength = 75  // characters of an encoded word at most (RFC 2047, section 2)
	plainWord  = 60  // characters of a word that fits into a line beside the field's name
	fieldLimit = 900 // characters of a value that a caller adds at most; with its name it is below the 998 of a line
	nameOfAll  = 64  // characters of its name at most
)

// unstructured writes a text so that whoever reads the field gets exactly that text: as it is if it can be taken for nothing else, or in encoded words.
func unstructured(text string) string {
	if isPlain(text) {
		return text
	}
	return encodedWords(text)
}

// phrase writes the name before an address.
func phrase(name string) string {
	if !isPlain(name) {
		return encodedWords(name)
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// isPlain reports whether a text survives being folded and read: printable ASCII, words that fit a line with one space between them, and nothing that looks
// like an encoded word.
func isPlain(text string) bool {
	for word := range strings.SplitSeq(text, " ") {
		if word == "" || len(word) > plainWord {
			return false
		}
	}
	return isPrintable(text) && !strings.Contains(text, "=?")
}

func isPrintable(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// encodedWords writes a text in the Q encoding of RFC 2047, with what is allowed in all fields (section 5, rule 3). Readers drop the spaces between the words.
func encodedWords(text string) string {
	const begin, end = "=?utf-8?q?", "?="
	var out strings.Builder
	length := 0 // of the word that is being written
	for i := 0; i < len(text); {
		_, size := utf8.DecodeRuneInString(text[i:]) // a character is not divided
		var piece string
		for _, c := range []byte(text[i : i+size]) {
			switch {
			case isAlphanumeric(c):
				piece += string(c)
			case c == ' ':
				piece += "_"
			default:
				piece += fmt.Sprintf("=%02X", c)
			}
		}
		if length > 0 && length+len(piece)+len(end) > wordLength {
			out.WriteString(end + " ")
			length = 0
		}
		if length == 0 {
			out.WriteString(begin)
			length = len(begin)
		}
		out.WriteString(piece)
		length += len(piece)
		i += size
	}
	out.WriteString(end)
	return out.String()
}

// fold writes a field, with a line break before a space where a line would get long. Between words is one space: of more a reader might make one.
func fold(name, value string) string {
	var out strings.Builder
	out.WriteString(name + ":")
	column := len(name) + 1
	for word := range strings.SplitSeq(value, " ") {
		if column+1+len(word) > lineLength && column > len(name)+1 {
			out.WriteString("\r\n")
			column = 0
		}
		out.WriteString(" " + word)
		column += 1 + len(word)
	}
	out.WriteString("\r\n")
	return out.String()
}

// reserved are fields that say whose a message is, what is in it or the way that it took, or that SES acts on. With a - at the end it is all that begin so.
var reserved = [...]string{
	"from", "sender", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "mime-version", "content-", "return-path", "received",
	"received-", "resent-", "delivered-to", "dkim-signature", "domainkey-signature", "authentication-results", "arc-", "x-ses-",
}

// checkField says what is wrong with a field that a caller adds.
func checkField(name, value string) error {
	if name == "" || len(name) > nameOfAll || strings.IndexFunc(name, func(r rune) bool { return r >= utf8.RuneSelf || r != '-' && !isAlphanumeric(byte(r)) }) >= 0 {
		return invalid("%s is no name of a field", clip(name))
	}
	lower := strings.ToLower(name)
	for _, r := range reserved {
		if lower == r || strings.HasSuffix(r, "-") && strings.HasPrefix(lower, r) {
			return invalid("the field %s cannot be set by Header", name)
		}
	}
	if value == "" || len(value) > fieldLimit || !isPrintable(value) || strings.TrimSpace(value) != value || strings.Contains(value, "  ") {
		return invalid("the value of the field %s has to be words of ASCII with one space between them, up to %d characters", name, fieldLimit)
	}
	return nil
}
