package rules

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
)

// A Route tells a function which rule a request got, in API Gateway's words: the route's key is "POST /hook/{id}", with ANY when the
// rule does not ask for one method, {proxy+} for a star at the end, and "$default" when it does not ask for a path.
type Route struct {
	method string // of the only method that the rule takes, else "ANY"
	paths  []routePath
}

// A routePath is one pattern of the rule, once more: globs say whether they match, this says what the names in them stand for.
type routePath struct {
	key   string
	names []string
	match *regexp.Regexp
}

const defaultRoute = "$default"

// newRoute is the route of a rule whose patterns are right.
func newRoute(cfg *config.Rule) *Route {
	route := &Route{method: "ANY"}
	if len(cfg.Method) == 1 {
		route.method = cfg.Method[0]
	}
	for _, text := range cfg.Path {
		if p, ok := newRoutePath(text); ok {
			route.paths = append(route.paths, p)
		}
	}
	return route
}

func newRoutePath(text string) (routePath, bool) {
	g, err := pathGlob(text)
	if err != nil {
		return routePath{}, false
	}
	p := routePath{key: text, names: namesIn(text)}
	var expression strings.Builder
	expression.WriteString(`(?s)\A`)
	tokens := g.tokens()
	for i, t := range tokens {
		switch {
		case t == anySegment:
			expression.WriteString(`([^/]+)`)
		case t == anyByte:
			expression.WriteString(`.`)
		case t == anyRun && i == len(tokens)-1 && strings.HasSuffix(text, "/*"):
			expression.WriteString(`(.*)`)
			p.key, p.names = strings.TrimSuffix(text, "*")+"{proxy+}", append(p.names, "proxy")
		case t == anyRun:
			expression.WriteString(`.*?`)
		default:
			expression.WriteString(regexp.QuoteMeta(string([]byte{byte(t)})))
		}
	}
	p.match, err = regexp.Compile(expression.String() + `\z`)
	return p, err == nil
}

// namesIn are the names in braces, from left to right.
func namesIn(pattern string) []string {
	var names []string
	for rest := pattern; ; {
		_, after, found := strings.Cut(rest, "{")
		if !found {
			return names
		}
		name, remaining, _ := strings.Cut(after, "}")
		names, rest = append(names, name), remaining
	}
}

// Mark sets the pattern and the path values of a request that got the rule, as http.ServeMux does of its own patterns. What a
// rewrite has made of the path counts.
func (rt *Route) Mark(r *http.Request) {
	r.Pattern = defaultRoute
	path, err := exchange.NormalPath(r.URL.EscapedPath())
	if err != nil {
		return
	}
	for _, p := range rt.paths {
		values := p.match.FindStringSubmatch(path)
		if values == nil {
			continue
		}
		r.Pattern = rt.method + " " + p.key
		for i, name := range p.names {
			value := values[i+1]
			if decoded, err := url.PathUnescape(value); err == nil {
				value = decoded
			}
			r.SetPathValue(name, value)
		}
		return
	}
}
