package strapi

import (
	_ "embed"
	"strings"
	"testing"
)

// names.tsv is what @strapi/database 5.54.0 calls things: kind, table or attribute, attribute, name.
//
//go:embed testdata/names.tsv
var names string

func TestTablesAndColumnsAreCalledAsStrapiCallsThem(t *testing.T) {
	for line := range strings.Lines(names) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		got := map[string]func() string{
			"column": func() string { return columnName(f[1]) },
			"link":   func() string { return linkTable(f[1], f[2]) },
			"part":   func() string { return partTable(f[1]) },
			"table":  func() string { return tableName(f[1]) },
		}[f[0]]()
		if got != f[3] {
			t.Errorf("the %s of %s %s is called %s, want %s", f[0], f[1], f[2], got, f[3])
		}
	}
}

func FuzzAnyNameHasAColumn(f *testing.F) {
	f.Add("camelCase1st")
	f.Fuzz(func(t *testing.T, name string) {
		if got := columnName(name); len(got) > maxIdentifier {
			t.Errorf("%q is called %q", name, got)
		}
	})
}
