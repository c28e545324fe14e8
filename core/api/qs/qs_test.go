package qs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// written is the tree as JSON.stringify writes it.
func written(n *Node) string {
	switch n.Kind {
	case Null:
	case Text:
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(n.Text)
		return strings.TrimSuffix(b.String(), "\n")
	case List:
		parts := []string{}
		for _, item := range n.Items {
			parts = append(parts, written(item))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case Object:
		parts := []string{}
		for i, name := range n.Names {
			parts = append(parts, written(&Node{Kind: Text, Text: name})+":"+written(n.Items[i]))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	return "null"
}

// The file was written by the npm package itself.
func TestWhatTheRealQsReads(t *testing.T) {
	b, err := os.ReadFile("testdata/qs-6.15.3.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors [][2]string }
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) < 100 {
		t.Fatalf("only %d vectors", len(file.Vectors))
	}
	for _, v := range file.Vectors {
		n, err := Parse(v[0])
		if err != nil {
			t.Errorf("%s: %v", v[0], err)
			continue
		}
		if got := written(n); got != v[1] {
			t.Errorf("%s\n got %s\nwant %s", v[0], got, v[1])
		}
	}
}

func TestMoreThanIsTakenIsSaid(t *testing.T) {
	for what, raw := range map[string]string{
		"has 1001 parameters":  strings.Repeat("&", 1000),
		"20 pairs of brackets": "a" + strings.Repeat("[b]", 21) + "=1",
		"32769 bytes":          strings.Repeat("a", 32<<10+1),
	} {
		if _, err := Parse(raw); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, raw := range []string{strings.Repeat("&", 999), "a" + strings.Repeat("[b]", 20) + "=1", strings.Repeat("a", 32<<10)} {
		if _, err := Parse(raw); err != nil {
			t.Error(err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a[b][0]=c", "a[]=1&a[1]=2&a=3", "a[99]=1&a[100]=2", "[]=&[&]=]", "a%5b%5D=%zz+%C3", "__proto__[a]=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		n, err := Parse(raw)
		if err != nil {
			return
		}
		again, err := Parse(raw)
		if err != nil || written(n) != written(again) {
			t.Fatalf("%q is read as %s, and then as %s (%v)", raw, written(n), written(again), err)
		}
		nodes := 0
		var count func(n *Node, depth int)
		count = func(n *Node, depth int) {
			nodes++
			if depth > 2*MaxDepth+4 || n.Kind == List && len(n.Items) > MaxList || n.Kind == Object && len(n.Names) != len(n.Items) {
				t.Fatalf("%q makes %s", raw, written(n))
			}
			for _, item := range n.Items {
				count(item, depth+1)
			}
		}
		count(n, 0)
		if nodes > 1+(MaxDepth+3)*(strings.Count(raw, "&")+1) {
			t.Fatalf("%q makes %d nodes", raw, nodes)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, raw := range []string{"", "pagination[pageSize]=1&fields=title", "filters%5Bviews%5D%5B%24gt%5D=3&filters%5Btitle%5D%5B%24startsWith%5D=Alpha&fields%5B0%5D=title&fields%5B1%5D=views&pagination%5BpageSize%5D=5"} {
		b.Run(fmt.Sprint(len(raw)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
