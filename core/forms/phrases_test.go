package forms

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestPhrasesAreWholeWordsWhateverTheirCaseAndSpace(t *testing.T) {
	p := newPhrases([]string{"casino", "buy  now", "$$$", "kühe", "a b", "a b c d", " "})
	for text, want := range map[string]bool{
		"": false, " ": false, "the CASINO.": true, "casino": true, "casinos": false, "mycasino": false, "my-casino": true, "1casino": false,
		"buy\u00a0\t NOW!": true, "buy": false, "buynow": false, "buy nows": false, "for $$$ ": true, "a$$$": false, "\u212aÜHE": true, "a b c": true, "a b c e": true, "ab": false,
	} {
		if p.in(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

func TestNoTextTakesLongToLookThrough(t *testing.T) {
	var list []string
	for i := range 200 {
		list = append(list, fmt.Sprintf("buy cheap word%d now", i))
	}
	const size = 1 << 20
	p := newPhrases(list)
	for _, bait := range []string{"b", "buy ", "buy cheap ", "buy cheap wor", "buy\n", " ", "é"} {
		began := time.Now()
		if p.in(strings.Repeat(bait, size/len(bait))) {
			t.Errorf("%q has a phrase", bait)
		}
		if took := time.Since(began); took > 2*time.Second { // a regular expression of all took 20 s
			t.Errorf("%q took %v", bait, took)
		}
	}
}
