package strapi

import "strings"

// variable is what a .env file gives a name, "" if nothing.
func variable(env, name string) string {
	for line := range strings.Lines(env) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
		key, value, ok := strings.Cut(line, "=")
		if !ok || strings.TrimSpace(key) != name {
			continue
		}
		value = strings.TrimSpace(value)
		for _, quote := range []string{`"`, `'`, "`"} {
			if inner, ok := strings.CutPrefix(value, quote); ok {
				inner, _, _ = strings.Cut(inner, quote)
				return inner
			}
		}
		value, _, _ = strings.Cut(value, " #")
		return strings.TrimSpace(value)
	}
	return ""
}
