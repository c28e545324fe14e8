package schedule

import "strings"

// maxWord is the longest text, in bytes, that is looked for among known words.
const maxWord = 64

// nearest returns the known word that a text is most like, whatever its case, or "" if it differs from each in more than a fourth of its letters.
func nearest(text string, known []string) string {
	if len(text) > maxWord {
		return ""
	}
	best, least := "", len(text)/4+1
	for _, word := range known {
		if d := distance(strings.ToLower(text), strings.ToLower(word)); d < least {
			best, least = word, d
		}
	}
	return best
}

// distance counts the bytes to insert, delete or replace to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
