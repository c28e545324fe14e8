package rules

import "strings"

// describeContent says what the content API makes of a path, as far as that can be told without its types.
func (e *Explanation) describeContent(prefix, path string) {
	prefix = strings.TrimSuffix(prefix, "/")
	below, ok := strings.CutPrefix(strings.ToLower(path), strings.ToLower(prefix)+"/")
	file, isFile := strings.CutPrefix(path, "/uploads/")
	switch {
	case ok && below != "":
		e.Action = "content API: /" + path[len(prefix)+1:]
	case isFile && file != "":
		e.Action = "content API: the file " + file
	case path == "/_health":
		e.Action = "content API: 204, for who looks whether it answers"
	default:
		e.Action = "content API: 404: it has nothing but " + prefix + "/… and /uploads/…"
	}
}
