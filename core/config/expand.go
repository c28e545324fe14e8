package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// An expander replaces ${…} in scalars. It keeps count of what it fetched, so that a small file can't ask for a huge one.
type expander struct {
	env     Env
	fetched int
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand returns the text with its ${…} replaced, and whether there were any. Its error names the ${…}, never a value.
func (e *expander) expand(text string, src *source) (expanded string, changed bool, err error) {
	if !strings.Contains(text, "${") {
		return text, false, nil
	}
	var b strings.Builder
	for text != "" {
		before, rest, ok := strings.Cut(text, "${")
		if !ok {
			b.WriteString(text)
			break
		}
		if literal, escaped := strings.CutSuffix(before, "$"); escaped {
			b.WriteString(literal + "${")
			text = rest
			continue
		}
		b.WriteString(before)
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			return "", true, errors.New("a ${ has no } after it; $${ is a literal ${")
		}
		value, err := e.value(name, src)
		if err != nil {
			return "", true, err
		}
		b.WriteString(value)
		if b.Len() > maxExpanded {
			return "", true, fmt.Errorf("the value is larger than %d KiB once it is expanded", maxExpanded>>10)
		}
		text, changed = after, true
	}
	return b.String(), changed, nil
}

// value returns what one ${name} stands for.
func (e *expander) value(name string, src *source) (string, error) {
	if path, ok := strings.CutPrefix(name, "file:"); ok {
		return e.fetch(name, src.resolve(path))
	}
	if credential, ok := strings.CutPrefix(name, "credential:"); ok {
		switch {
		case credential == "" || strings.ContainsAny(credential, "/\x00") || strings.HasPrefix(credential, "."):
			return "", fmt.Errorf("${%s}: that is no name of a credential", clip(name))
		case e.env.Credentials == "":
			return "", fmt.Errorf("${%s}: there are no credentials here (CREDENTIALS_DIRECTORY is not set); systemd's LoadCredential= gives them", clip(name))
		}
		return e.fetch(name, filepath.Join(e.env.Credentials, credential))
	}
	variable, fallback, hasFallback := strings.Cut(name, ":-")
	if !variableName.MatchString(variable) {
		return "", fmt.Errorf("${%s}: write ${NAME}, ${NAME:-default}, ${file:PATH} or ${credential:NAME}; $${ is a literal ${", clip(name))
	}
	if strings.Contains(fallback, "${") {
		return "", fmt.Errorf("${%s}: a default can't have a ${…} in it", clip(name))
	}
	value, ok := "", false
	if e.env.LookupEnv != nil {
		value, ok = e.env.LookupEnv(variable)
	}
	switch {
	case hasFallback && (!ok || value == ""): // as in a shell: unset or empty
		return fallback, nil
	case !ok:
		return "", fmt.Errorf("the environment variable %s is not set; ${%s:-…} gives a default", clip(variable), clip(variable))
	}
	return value, nil
}

// fetch returns a file's content less one newline.
func (e *expander) fetch(name, path string) (string, error) {
	text, err := readFile(path, maxExpanded)
	if err != nil {
		return "", fmt.Errorf("${%s}: %s: %w", clip(name), path, err)
	}
	if e.fetched += len(text); e.fetched > maxFetched {
		return "", fmt.Errorf("${%s}: the files of all ${…} are larger than %d MiB", clip(name), maxFetched>>20)
	}
	return strings.TrimSuffix(text, "\n"), nil
}
