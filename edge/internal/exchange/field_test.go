package exchange

import (
	"slices"
	"testing"
)

func TestFields(t *testing.T) {
	f := Fields{{"A", "1"}, {"b", "2"}, {"a", "3"}, {"C", ""}}
	if f.Get("a") != "1" || f.Get("B") != "2" || f.Get("D") != "" || !f.Has("c") || f.Has("D") {
		t.Errorf("%v", f)
	}
	if v, ok := f.Lookup("c"); v != "" || !ok {
		t.Errorf("%q %v", v, ok)
	}
	if v := slices.Collect(f.Values("A")); !slices.Equal(v, []string{"1", "3"}) {
		t.Errorf("%q", v)
	}
	for range f.Values("a") {
		break
	}

	whole := f
	f.Set("a", "4")
	if !slices.Equal(f, Fields{{"A", "4"}, {"b", "2"}, {"C", ""}}) || whole[3] != (Field{}) {
		t.Errorf("Set: %v of %v", f, whole)
	}
	f.Set("D", "5")
	f.Del("B")
	if !slices.Equal(f, Fields{{"A", "4"}, {"C", ""}, {"D", "5"}}) {
		t.Errorf("Del: %v", f)
	}
	c := f.Clone()
	f.DelFunc(func(Field) bool { return true })
	if len(f) != 0 || len(c) != 3 || c.Get("d") != "5" || Fields(nil).Clone() != nil {
		t.Errorf("%v, %v", f, c)
	}
}

func TestHasToken(t *testing.T) {
	f := Fields{{"Connection", "keep-alive ,\tUpgrade"}, {"connection", ""}, {"CONNECTION", "x-a,,x-b"}}
	for token, want := range map[string]bool{
		"upgrade": true, "KEEP-ALIVE": true, "x-b": true,
		"keep": false, "alive": false, "x-a,,x-b": false, "\u212aeep-alive": false,
	} {
		if f.HasToken("connection", token) != want {
			t.Errorf("%q: %v", token, !want)
		}
	}
}

func TestEqualName(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"Host", "hOST", true}, {"a-b", "A-B", true}, {"a", "ab", false}, {"@", "`", false}, {"k", "\u212a", false}, {"", "", true}} {
		if EqualName(c.a, c.b) != c.want {
			t.Errorf("%q, %q: %v", c.a, c.b, !c.want)
		}
	}
}

func TestFieldsDoNotAllocate(t *testing.T) {
	f := make(Fields, 0, 8)
	n := testing.AllocsPerRun(100, func() {
		f = f[:0]
		f.Add("Accept", "*/*")
		f.Add("Connection", "close, x")
		f.Set("accept", "a")
		for range f.Values("accept") {
			_ = f.HasToken("connection", "x")
		}
		f.Del("connection")
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
