package input

import "strings"

// isEmail accepts what Strapi takes for an address of e-mail: atoms, an @, and a domain of at least two labels, the last of which has letters at its ends. Quoted
// names before the @ are not taken.
func isEmail(text string) bool {
	name, domain, found := strings.Cut(text, "@")
	if !found || name == "" {
		return false
	}
	for atom := range strings.SplitSeq(name, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(c rune) bool {
			return !isLetter(c) && !isDigit(c) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", c)
		}) {
			return false
		}
	}
	labels := strings.Split(domain, ".")
	if len(labels) < 2 {
		return false
	}
	for i, label := range labels {
		last := i == len(labels)-1
		runes := []rune(label)
		if len(runes) == 0 {
			return false
		}
		for j, c := range runes {
			end := j == 0 || j == len(runes)-1
			if !isLetter(c) && (end && last || !isDigit(c) && (end || !strings.ContainsRune("-_~", c))) {
				return false
			}
		}
	}
	return true
}

// isLetter also takes what is beyond ASCII, but for controls and private characters.
func isLetter(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0xa0 && c <= 0xd7ff || c >= 0xf900 && c <= 0xfdcf || c >= 0xfdf0 && c <= 0xffef
}

func isDigit(c rune) bool { return c >= '0' && c <= '9' }
