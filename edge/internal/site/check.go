package site

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/onehost/edge/core/config"
)

// Check reports what would keep the configured sites from being opened, without reading their files.
func Check(cfg *config.Config) []config.Problem {
	var problems []config.Problem
	for _, name := range slices.Sorted(maps.Keys(cfg.Sites)) {
		site := cfg.Sites[name]
		for _, p := range checkRoot(site) {
			at := cfg.Problem
			if p.warning {
				at = cfg.Warning
			}
			problems = append(problems, at(p.message, "sites", name, "root"))
		}
		for _, key := range slices.Sorted(maps.Keys(site.CSP.Sources)) {
			for _, message := range checkSources(key, site.CSP.Sources[key]) {
				problems = append(problems, cfg.Problem(message, "sites", name, "csp", key))
			}
		}
	}
	return problems
}

type finding struct {
	message string
	warning bool
}

// checkRoot looks at a site's files as Open does.
func checkRoot(site config.Site) []finding {
	t, err := openTree(site.Root, slog.New(slog.DiscardHandler))
	if err != nil {
		return []finding{{message: err.Error()}}
	}
	defer t.close()
	names, err := t.names()
	if err != nil {
		return []finding{{message: err.Error()}}
	}
	var found []finding
	for _, name := range names {
		f, _, err := openRegular(t.root, name)
		if err != nil {
			return append(found, finding{message: t.fileError(name, err).Error()})
		}
		_ = f.Close() // was only looked at
	}
	if slices.Contains(names, "index.html") {
		return found
	}
	if site.SPA {
		return append(found, finding{message: noIndex(site.Root).Error()})
	}
	return append(found, finding{fmt.Sprintf("root %s has no index.html: / will answer 404", site.Root), true})
}

// cspKeys are the directives that a configuration may add sources to.
var cspKeys = []string{"connect", "script", "style", "img", "font", "media", "frame", "worker", "form-action", "frame-ancestors"}

// cspKeywords have to be written in quotes, or they name a host.
var cspKeywords = []string{"self", "none", "unsafe-inline", "unsafe-eval", "wasm-unsafe-eval", "unsafe-hashes", "strict-dynamic"}

// checkSources reports sources that would break the policy, or mean something else than they look like.
func checkSources(key string, sources []string) []string {
	var messages []string
	if !slices.Contains(cspKeys, key) {
		messages = append(messages, fmt.Sprintf("no directive %q: use one of %s", key, strings.Join(cspKeys, ", ")))
	}
	for _, source := range sources {
		switch {
		case source == "" || strings.ContainsFunc(source, func(r rune) bool { return r <= ' ' || r > '~' || r == ';' || r == ',' }):
			messages = append(messages, fmt.Sprintf("%q is not a source: write one a list item, without spaces, commas and semicolons", source))
		case slices.Contains(cspKeywords, strings.ToLower(source)):
			messages = append(messages, fmt.Sprintf(`%s is a keyword and stands in quotes: "'%s'"`, source, source))
		case source == "'none'" && len(sources) > 1:
			messages = append(messages, "'none' stands alone: leave the other sources out")
		}
	}
	return messages
}
