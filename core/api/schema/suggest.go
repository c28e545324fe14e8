package schema

import "strings"

// nearest returns the known word that text is most like, "" if it is like none.
func nearest(text string, known []string) string {
	best, least := "", max(1, len(text)/3)+1
	for _, word := range known {
		if off := len(word) - len(text); off >= least || -off >= least {
			continue
		}
		if d := distance(strings.ToLower(text), strings.ToLower(word)); d < least {
			best, least = word, d
		}
	}
	return best
}

// meant asks for the nearest known word.
func meant(text string, known []string) string {
	if word := nearest(text, known); word != "" {
		return `; did you mean "` + word + `"?`
	}
	return ""
}

// distance counts the bytes to insert, delete, replace or swap with their neighbour to get from a to b (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
