package main

import (
	"regexp"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// The rules of version 3 of https://github.com/twitter/twitter-text/blob/master/config/v3.json, doubled weights halved.
const (
	maxWeight = 280
	urlWeight = 23
)

// links are what X makes a URL of 23 characters. Of names without a scheme X links those whose last label is a top-level domain of the day:
// here all that look so count, and then for no less than they are long. What may follow a URL as punctuation is none of it.
var links = regexp.MustCompile(`(?i)(https?://)?(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}(?::[0-9]+)?(?:[/?#](?:[!-~]*[a-z0-9/=_&-])?)?`)

// weight is how long a text is to X, or more where X's rules are about lists that change.
func weight(text string) int {
	text = norm.NFC.String(text)
	total, from := 0, 0
	for _, at := range links.FindAllStringSubmatchIndex(text, -1) {
		total += weightOfText(text[from:at[0]])
		if hasScheme := at[2] >= 0; hasScheme {
			total += urlWeight
		} else {
			total += max(urlWeight, weightOfText(text[at[0]:at[1]]))
		}
		from = at[1]
	}
	return total + weightOfText(text[from:])
}

// weightOfText counts an emoji as two, of however many code points it is made.
func weightOfText(text string) int {
	total := 0
	runes := []rune(text)
	for i := 0; i < len(runes); i++ {
		total += weightOf(runes[i])
		if isPicture(runes[i]) {
			i += rest(runes[i:]) - 1
		}
	}
	return total
}

func weightOf(r rune) int {
	if r <= 4351 || r >= 8192 && r <= 8205 || r >= 8208 && r <= 8223 || r >= 8242 && r <= 8247 {
		return 1
	}
	return 2
}

const joiner, asEmoji = 0x200D, 0xFE0F

// rest is how many code points the emoji at the beginning has: a flag is two letters of its kind; others are pictures with a skin tone or a
// variation selector after them, joined.
func rest(runes []rune) int {
	if isFlag(runes[0]) {
		if len(runes) > 1 && isFlag(runes[1]) {
			return 2
		}
		return 1
	}
	n := 1
	for n < len(runes) {
		switch {
		case runes[n] == asEmoji || runes[n] >= 0x1F3FB && runes[n] <= 0x1F3FF:
			n++
		case runes[n] == joiner && n+1 < len(runes) && isPicture(runes[n+1]):
			n += 2
		default:
			return n
		}
	}
	return n
}

func isFlag(r rune) bool { return r >= 0x1F1E6 && r <= 0x1F1FF }

// isPicture reports whether a code point is one of those that emoji begin with, all of which weigh two.
func isPicture(r rune) bool {
	return r >= 0x1F000 && r <= 0x1FAFF || r >= 0x2600 && r <= 0x27BF && unicode.Is(unicode.So, r)
}
