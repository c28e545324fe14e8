package rules_test

import (
	"testing"

	"github.com/onehost/edge/core/config"
)

func TestAFunctionIsToldItsRoute(t *testing.T) {
	rewritten := config.Rule{Path: []string{"/v1/{id}"}, Function: "f", Rewrite: &config.Rewrite{Path: "/v1/7"}}
	table := build(t, host(config.Host{
		Rules: []config.Rule{
			{Path: []string{"/hook/{id}", "/hook/*"}, Method: []string{"POST"}, Function: "f"},
			{Path: []string{"/a.b/?/{id}/*"}, Method: []string{"GET", "PUT"}, Function: "f"},
			{Path: []string{"/mid*end"}, Function: "f"},
			{PathRegex: []string{"^/regex"}, Function: "f"},
			{Path: []string{"/forms/*"}, Forms: true},
			rewritten,
		},
		Default: &config.Rule{Function: "g"},
	}))
	for _, c := range []struct{ method, path, want string }{
		{"POST", "/hook/1", "f POST /hook/{id} id=1 proxy="},
		{"POST", "/hook/a%2Fb", "f POST /hook/{id} id=a/b proxy="},
		{"POST", "/h%6fok/x/./y", "f POST /hook/{proxy+} id= proxy=x/y"},
		{"POST", "/hook/", "f POST /hook/{proxy+} id= proxy="},
		{"GET", "/a.b/c/d/e/f", "f ANY /a.b/?/{id}/{proxy+} id=d proxy=e/f"},
		{"GET", "/midst-of-the-end", "f ANY /mid*end id= proxy="},
		{"GET", "/regexes", "f $default id= proxy="},
		{"GET", "/axb/c/d/e", "g $default id= proxy="},
		{"GET", "/v1/1", "f ANY /v1/{id} id=7 proxy="},
		{"POST", "/forms/contact", "forms"},
	} {
		if got := serve(t, table, c.method, c.path).Body.String(); got != c.want {
			t.Errorf("%s %s: %q instead of %q", c.method, c.path, got, c.want)
		}
	}
}
