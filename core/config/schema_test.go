package config

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("edge.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("edge.json") // validates the schema itself against draft 2020-12
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// seen is what an editor makes of a file.
func seen(file string) (any, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		return nil, err
	}
	if v == nil {
		v = map[string]any{}
	}
	return v, nil
}

// TestSchema holds the schema against what Load says of the same files.
func TestSchema(t *testing.T) {
	schema := compileSchema(t)
	// What is wrong in these lies between settings, or in how the text of the file is written.
	accepted := []string{"alias-bomb", "hosts", "documents", "include", "expand", "no-certificate", "twice", "refused", "challenges", "store-whose", "api-missing"}
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range files {
		name, bad := strings.CutSuffix(filepath.Base(file), ".bad.yaml")
		t.Run(filepath.Base(file), func(t *testing.T) {
			v, err := seen(file)
			if err != nil {
				if bad {
					return // not YAML
				}
				t.Fatal(err)
			}
			err = schema.Validate(v)
			switch {
			case !bad && err != nil:
				t.Errorf("refused: %v", err)
			case bad && err == nil && !strings.Contains(" "+strings.Join(accepted, " ")+" ", " "+name+" "):
				t.Error("accepted")
			}
		})
	}
}

// TestSchemaFollowsDecoding holds one mistake at a time against both.
func TestSchemaFollowsDecoding(t *testing.T) {
	schema := compileSchema(t)
	const host = "tls: {issuers: [local]}\nsites: {a: {root: a}}\nhosts: {h: {default: {site: a}, "
	for _, tt := range []struct {
		name, text string
		good       bool
	}{
		{"nothing wrong", host + "hsts: 1d}}", true},
		{"scalar for a list", host + "rules: [{path: /a, site: a}]}}", true},
		{"from the environment", host + "hsts: '${X:-1d}', maintenance: '${Y:-on}', limits: {concurrency: '${Z:-5}'}}}", true},
		{"mapping for a list", host + "rules: {path: /a, site: a}}}", false},
		{"unknown key", host + "hst: 1d}}", false},
		{"no unit", host + "hsts: 1}}", false},
		{"zero without unit", host + "hsts: 0}}", true},
		{"size without unit", host + "limits: {body: 10}}}", true},
		{"negative size", host + "limits: {body: -10}}}", false},
		{"unknown unit", host + "limits: {body: 10mb}}}", false},
		{"rate", host + "limits: {rate: 5/m}}}", true},
		{"bad rate", host + "limits: {rate: 5 per minute}}}", false},
		{"text for a number", host + "limits: {concurrency: '5'}}}", false},
		{"negative number", host + "limits: {concurrency: -5}}}", false},
		{"boolean of YAML 1.1", host + "maintenance: yes}}", true},
		{"no boolean", host + "maintenance: 1}}", false},
		{"tls off", host + "tls: off}}", true},
		{"tls on", host + "tls: true}}", false},
		{"condition in default", "hosts: {h: {tls: off, default: {path: /, respond: {}}}}", false},
		{"no default", "hosts: {h: {tls: off}}", false},
		{"no action", "hosts: {h: {tls: off, default: {}}}", false},
		{"two actions", "hosts: {h: {tls: off, default: {respond: {}, redirect: {to: /}}}}", false},
		{"status out of range", "hosts: {h: {tls: off, default: {respond: {status: 600}}}}", false},
		{"no redirect's status", "hosts: {h: {tls: off, default: {redirect: {to: /, status: 304}}}}", false},
		{"a word of several", "log: {level: info}", true},
		{"no such word", "log: {level: loud}", false},
		{"empty mapping", "hosts:", true},
		{"CSP off", "sites: {a: {root: a, csp: off}}", true},
		{"CSP", "sites: {a: {root: a, csp: {img: 'data:'}}}", true},
		{"no such directive", "sites: {a: {root: a, csp: {imgs: 'data:'}}}", false},
		{"target as text", "target_groups: {g: {targets: 'http://a:1'}}", true},
		{"target as mapping", "target_groups: {g: {targets: [{url: 'http://a:1', weight: 2}]}}", true},
		{"target without scheme", "target_groups: {g: {targets: ['a:1']}}", false},
		{"matcher", "target_groups: {g: {health: {status: ['200-299', 404]}}}", true},
		{"bad matcher", "target_groups: {g: {health: {status: '200-'}}}", false},
		{"issuer as text", "tls: {issuers: local}", true},
		{"issuer as mapping", "tls: {issuers: [{directory: 'https://ca/dir', eab: {kid: a, hmac: '${X:-c2VjcmV0}'}}]}", true},
		{"unknown issuer", "tls: {issuers: [letsencript]}", false},
		{"directory without TLS", "tls: {issuers: [{directory: 'http://ca/dir'}]}", false},
		{"unknown challenge", "tls: {issuers: [{name: letsencrypt, challenges: http}]}", false},
		{"EAB without a key", "tls: {issuers: [{directory: 'https://ca/dir', eab: {kid: a}}]}", false},
		{"Route 53", "tls: {dns: {route53: {}}}", true},
		{"Route 53 without a value", "tls: {dns: {route53:}}", true},
		{"no e-mail address", "tls: {email: ops}", false},
		{"include", "include: [conf.d/*.yaml]", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "edge.yaml")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, problems := Load(file, Env{}); Failed(problems) == tt.good {
				t.Errorf("Load: %v", problems)
			}
			v, err := seen(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(v); (err == nil) != tt.good {
				t.Errorf("schema: %v", err)
			}
		})
	}
}

// TestEveryKeyIsDescribed also makes every form and default, so that a mistake in a tag is found here.
func TestEveryKeyIsDescribed(t *testing.T) {
	var visit func(reflect.Type)
	visit = func(typ reflect.Type) {
		if kind := typ.Kind(); kind == reflect.Pointer || kind == reflect.Slice || kind == reflect.Map {
			visit(typ.Elem())
		}
		if _, isScalar := newForm(typ, ""); typ.Kind() != reflect.Struct || isScalar || typ == statusRanges.Elem() || typ == treeType {
			return
		}
		for _, f := range shapeOf(typ).fields {
			if f.doc == "" {
				t.Errorf("%s.%s has no doc tag", typ.Name(), f.name)
			}
			visit(f.typ)
		}
		newLoader(Env{}).value(nil, reflect.New(typ).Elem(), field{}, "")
	}
	visit(reflect.TypeFor[document]())
}
