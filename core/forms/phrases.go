package forms

import (
	"strings"
	"unicode"
)

// phrases are words, and several words in a row, that are looked for all at once: by a tree of their characters, which is entered where a word
// begins. So a text takes time by its length and by that of the longest phrase, however many there are, and whoever made it up to take long.
type phrases struct {
	next map[rune]*phrases
	end  bool // of a phrase
}

func newPhrases(list []string) *phrases {
	root := new(phrases)
	for _, phrase := range list {
		p := root
		for _, r := range strings.Join(strings.Fields(phrase), " ") {
			if p.next == nil {
				p.next = make(map[rune]*phrases)
			}
			if p.next[folded(r)] == nil {
				p.next[folded(r)] = new(phrases)
			}
			p = p.next[folded(r)]
		}
		p.end = p != root
	}
	return root
}

// in reports whether a phrase is in a text, whatever its case and the space between its words, and not as a part of other words: "Scunthorpe" is a town.
func (p *phrases) in(text string) bool {
	within := false // a word
	for i, r := range text {
		if !within && p.begin(text[i:]) {
			return true
		}
		within = inWord(r)
	}
	return false
}

// begin reports whether a text begins with a phrase.
func (p *phrases) begin(text string) bool {
	space := false
	for _, r := range text {
		if p.end && !inWord(r) {
			return true
		}
		before := space
		if space = unicode.IsSpace(r); space {
			r = ' '
		}
		if space && before {
			continue
		}
		if p = p.next[folded(r)]; p == nil {
			return false
		}
	}
	return p.end
}

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

// folded is the same for all cases of a letter: the first of them.
func folded(r rune) rune {
	if 'a' <= r && r <= 'z' {
		return r - 'a' + 'A'
	}
	if r < 0x80 {
		return r
	}
	first := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		first = min(first, next)
	}
	return first
}
