package main

import (
	"strings"
	"testing"
)

func TestTextsWeighWhatXSays(t *testing.T) {
	for text, want := range map[string]int{
		"":                         0,
		"hello":                    5,
		"naïve":                    5,
		"nai\u0308ve":              5, // composed first
		"日本語":                      6,
		"“quotes” – and …":         16 + 1,
		"😀":                        2,
		"👍🏽":                       2,
		"👨‍👩‍👧‍👦":                  2,
		"🇪🇸🇫🇷":                     4,
		"❤️":                       2,
		"https://example.com":      23,
		"see https://example.com/": 27,
		"https://example.com/a?b=c#d-and-much-more-than-three-and-twenty-characters": 23,
		"(https://example.com/a).": 23 + 3,
		"https://example.com日本語":   23 + 6,
		"example.com":              23,
		"an.example.of-a-name-that-is-longer-than-its-link.com": 53,
		"end.Begin":              23, // X does not take it for a link, unless Begin becomes a top-level domain
		"http://nodots":          13,
		"a.b":                    3,
		"3.14":                   4,
		strings.Repeat("日", 141): 282,
	} {
		if got := weight(text); got != want {
			t.Errorf("%q weighs %d, want %d", text, got, want)
		}
	}
}

func FuzzNoTextWeighsLessThanNothingOrBreaksTheScale(f *testing.F) {
	for _, text := range []string{"hello https://example.com", "👨‍👩‍👧‍👦", "\xff", "🇪", "❤\u200d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if w := weight(text); w < 0 || text == "" && w != 0 || len([]rune(text)) > 0 && w == 0 {
			t.Errorf("%q weighs %d", text, w)
		}
	})
}
