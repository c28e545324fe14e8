package config

import "strings"

// maxCompared is how many known words are looked at for a suggestion. Nobody has more; a file made to keep us busy may.
const maxCompared = 1_000

// nearest returns the known word that text is most like, or "" if it is like none.
func nearest(text string, known []string) string {
	best, least := "", max(1, len(text)/3)+1
	for _, word := range known[:min(len(known), maxCompared)] {
		if abs(len(word)-len(text)) >= least {
			continue
		}
		if d := distance(strings.ToLower(text), strings.ToLower(word)); d < least {
			best, least = word, d
		}
	}
	return best
}

func abs(n int) int { return max(n, -n) }

// distance counts the bytes to insert, delete, replace or swap with their neighbour to get from a to b
// (optimal string alignment).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(row[j]+1, last[j+1]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// list writes words as prose: "a, b or c".
func list(words []string, joint string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " " + joint + " " + words[last]
}
