package storetest

import (
	"fmt"
	"strings"

	"github.com/onehost/edge/core/store"
)

func text() []test {
	return []test{
		{"text is found where it is looked for", textPlaces},
		{"no character of a text means anything but itself", metacharacters},
		{"letters of either case are the same when asked so, by simple folding", folding},
		{"only strings have text", textOfOthers},
		{"long texts are found", longTexts},
	}
}

func ops() []store.TextOp {
	return []store.TextOp{store.Whole, store.Contains, store.Prefix, store.Suffix}
}

func textPlaces(s *scene) {
	name := s.with(
		doc{"id": "1", "v": "abc"}, doc{"id": "2", "v": "ab"}, doc{"id": "3", "v": "bc"}, doc{"id": "4", "v": ""}, doc{"id": "5", "v": "aBC"}, doc{"id": "6", "v": "b\nab"},
		doc{"id": "7", "v": "ab\n"}, doc{"id": "8", "v": "\x00ab\x00ab"}, doc{"id": "9", "v": "äbc"}, doc{"id": "abc", "d": doc{"v": "abc"}},
	)
	for _, c := range []struct {
		op          store.TextOp
		value       string
		plain, fold string
	}{
		{store.Whole, "ab", "2", "2"}, {store.Whole, "", "4", "4"}, {store.Whole, "ABC", "", "1 5"},
		{store.Contains, "b", "1 2 3 6 7 8 9", "1 2 3 5 6 7 8 9"}, {store.Contains, "", "1 2 3 4 5 6 7 8 9", "1 2 3 4 5 6 7 8 9"}, {store.Contains, "bC", "", "1 3 5 9"}, {store.Contains, "Ä", "", "9"},
		{store.Prefix, "ab", "1 2 7", "1 2 5 7"}, {store.Prefix, "", "1 2 3 4 5 6 7 8 9", "1 2 3 4 5 6 7 8 9"}, {store.Prefix, "a", "1 2 5 7", "1 2 5 7"}, {store.Prefix, "Ä", "", "9"},
		{store.Suffix, "ab", "2 6 8", "2 6 8"}, {store.Suffix, "", "1 2 3 4 5 6 7 8 9", "1 2 3 4 5 6 7 8 9"}, {store.Suffix, "BC", "5", "1 3 5 9"}, {store.Suffix, "\n", "7", "7"},
		{store.Contains, "b\na", "6", "6"}, {store.Whole, "abcd", "", ""}, {store.Prefix, "abcd", "", ""}, {store.Suffix, "xabc", "", ""},
	} {
		s.finds(name, store.Text{Field: "v", Op: c.op, Value: c.value}, c.plain)
		s.finds(name, store.Text{Field: "v", Op: c.op, Value: c.value, Fold: true}, c.fold)
	}
	s.finds(name, store.Text{Field: "d.v", Op: store.Contains, Value: "b"}, "abc")
	s.finds(name, store.Text{Field: "id", Op: store.Suffix, Value: "C", Fold: true}, "abc")
	s.finds(name, store.Not{Filter: store.Text{Field: "v", Op: store.Contains, Value: "B", Fold: true}}, "4 abc")
}

func metacharacters(s *scene) {
	special := []string{
		".", "*", "+", "?", "(", ")", "[", "]", "{", "}", "^", "$", "|", "\\", "/", "-", "#", ",", ":", "=", "!", "<", ">", "&", "~", "@", "'", "\"", "`", "%", "_", " ", "\t", "\n", ";", "\u00a0",
		"\\E", "\\Q", "(?i)", ".*", "[^b]", "\\d", "\\0", "%%", "__", "\\%", "''", "$where", "{1}", "(?#)", "\\x41", "\\p{L}",
	}
	documents := []doc{{"id": "az", "v": "az"}, {"id": "axz", "v": "axz"}, {"id": "AZ", "v": "AZ"}, {"id": "a1z", "v": "a1z"}}
	for i, c := range special {
		documents = append(documents, doc{"id": fmt.Sprintf("m%02d", i), "v": "a" + c + "z"})
	}
	name := s.with(documents...)
	for _, c := range special {
		var want []string
		for i, other := range special {
			if strings.Contains(other, c) {
				want = append(want, fmt.Sprintf("m%02d", i))
			}
		}
		s.finds(name, store.Text{Field: "v", Op: store.Contains, Value: c}, strings.Join(want, " "))
	}
	for i, c := range special {
		id := fmt.Sprintf("m%02d", i)
		for _, fold := range []bool{false, true} {
			s.finds(name, store.Text{Field: "v", Op: store.Whole, Value: "a" + c + "z", Fold: fold}, id)
			s.finds(name, store.Text{Field: "v", Op: store.Prefix, Value: "a" + c + "z", Fold: fold}, id)
			s.finds(name, store.Text{Field: "v", Op: store.Suffix, Value: "a" + c + "z", Fold: fold}, id)
			s.finds(name, store.Text{Field: "v", Op: store.Contains, Value: "a" + c + "z", Fold: fold}, id)
		}
	}
}

func folding(s *scene) {
	pairs := []struct {
		a, b string
		same bool
	}{
		{"a", "A", true}, {"é", "É", true}, {"é", "e", false}, {"e\u0301", "é", false}, {"ß", "ẞ", true}, {"ß", "ss", false}, {"ſ", "s", true}, {"ſ", "S", true}, {"\u212a", "k", true}, {"\u212a", "K", true},
		{"\u212b", "\u00e5", true}, {"İ", "i", false}, {"İ", "I", false}, {"ı", "i", false}, {"ı", "I", false}, {"i", "I", true}, {"Σ", "σ", true}, {"Σ", "ς", true}, {"σ", "ς", true}, {"ǅ", "Ǆ", true}, {"ǅ", "ǆ", true},
		{"θ", "ϑ", true}, {"ϴ", "θ", true}, {"µ", "μ", true}, {"µ", "Μ", true}, {"ÿ", "Ÿ", true}, {"Ω", "ω", true}, {"я", "Я", true}, {"ა", "Ა", true}, {"ꭰ", "Ꭰ", true}, {"𐐨", "𐐀", true}, {"Ⅷ", "ⅷ", true},
		{"ⓐ", "Ⓐ", true}, {"ａ", "Ａ", true}, {"ﬀ", "ff", false}, {"ŉ", "ʼn", false}, {"[", "{", false}, {"@", "`", false}, {"1", "１", false}, {"\u0345", "ι", true}, {"ϐ", "Β", true}, {"ẛ", "ṡ", true}, {"ⱥ", "Ⱥ", true},
	}
	var documents []doc
	for i, p := range pairs {
		documents = append(documents, doc{"id": fmt.Sprintf("%02da", i), "v": fmt.Sprintf("%02d<%s>", i, p.a)}, doc{"id": fmt.Sprintf("%02db", i), "v": fmt.Sprintf("%02d<%s>", i, p.b)})
	}
	name := s.with(documents...)
	for i, p := range pairs {
		a, b := fmt.Sprintf("%02da", i), fmt.Sprintf("%02db", i)
		for _, op := range ops() {
			for _, one := range []struct{ letter, id string }{{p.a, a}, {p.b, b}} {
				value := fmt.Sprintf("%02d<%s>", i, one.letter)
				s.finds(name, store.Text{Field: "v", Op: op, Value: value}, one.id)
				want := one.id
				if p.same {
					want = a + " " + b
				}
				s.finds(name, store.Text{Field: "v", Op: op, Value: value, Fold: true}, want)
			}
		}
	}
}

func textOfOthers(s *scene) {
	name, but := everyKind(s)
	for _, fold := range []bool{false, true} {
		all := store.Text{Field: "v", Op: store.Contains, Fold: fold}
		s.finds(name, all, "s s1 sA sa sb")
		s.finds(name, store.Not{Filter: all}, but("s s1 sA sa sb"))
		one := store.Text{Field: "v", Op: store.Whole, Value: "1", Fold: fold}
		s.finds(name, one, "s1")
		s.finds(name, store.Not{Filter: one}, but("s1"))
		s.finds(name, store.Text{Field: "v", Op: store.Prefix, Value: "t", Fold: fold}, "")
		s.finds(name, store.Text{Field: "v", Op: store.Contains, Value: "null", Fold: fold}, "")
	}
}

func longTexts(s *scene) {
	long := strings.Repeat("é.x\\", store.MaxText/5) // the longest that may be looked for
	name := s.with(doc{"id": "1", "v": "<" + long + ">"}, doc{"id": "2", "v": long[:len(long)-1]}, doc{"id": "3", "v": strings.Repeat("a", 1<<20) + "b"})
	for _, fold := range []bool{false, true} {
		s.finds(name, store.Text{Field: "v", Op: store.Contains, Value: long, Fold: fold}, "1")
		s.finds(name, store.Text{Field: "v", Op: store.Prefix, Value: long[:len(long)-1], Fold: fold}, "2")
		s.finds(name, store.Text{Field: "v", Op: store.Suffix, Value: "ab", Fold: fold}, "3")
	}
	s.finds(name, store.Text{Field: "v", Op: store.Contains, Value: strings.ToUpper(long), Fold: true}, "1")
}
