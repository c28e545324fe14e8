package exchange

import (
	"iter"
	"strings"
)

// Weighted yields the elements of the list fields called name, such as Accept, each with how much it is wanted: its
// weight in thousandths (RFC 9110, section 12.4.2), 1000 if it has none. Other parameters are cut off, and elements with a
// weight that is none are left out.
func (f Fields) Weighted(name string) iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for i := range f {
			if !EqualName(f[i].Name, name) {
				continue
			}
			for element := range strings.SplitSeq(f[i].Value, ",") {
				value, parameters, _ := strings.Cut(element, ";")
				if q, ok := weight(parameters); ok && !yield(strings.Trim(value, " \t"), q) {
					return
				}
			}
		}
	}
}

// weight finds the weight among the parameters of an element. It reports false for one that is none.
func weight(parameters string) (int, bool) {
	for parameters != "" {
		var p string
		p, parameters, _ = strings.Cut(parameters, ";")
		if name, value, _ := strings.Cut(strings.Trim(p, " \t"), "="); EqualName(name, "q") {
			return thousandths(value)
		}
	}
	return 1000, true
}

// thousandths reads 0, 1 and what is between with up to three digits after the point.
func thousandths(s string) (int, bool) {
	if s == "" || len(s) > len("0.000") || s[0] != '0' && s[0] != '1' || len(s) > 1 && s[1] != '.' {
		return 0, false
	}
	n := int(s[0]-'0') * 1000
	for i, scale := 2, 100; i < len(s); i, scale = i+1, scale/10 {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n += int(s[i]-'0') * scale
	}
	return n, n <= 1000
}
