package submissions

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/onehost/edge/core/store"
)

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"id":"1","form":"contact","at":"x","state":"pending","fields":[{"name":"a","value":1},2,null],"files":[{"size":"1"}],"reasons":[1,"a"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var raw map[string]any
		if json.Unmarshal(data, &raw) != nil {
			return
		}
		raw["id"] = "1"
		d, _, err := store.Normal(raw)
		if err != nil {
			return
		}
		sub := decode(d)
		kept, _, err := store.Normal(encode(sub))
		if err != nil {
			t.Fatal(err)
		}
		if again := decode(kept); !reflect.DeepEqual(again, sub) && len(sub.Event) > 0 {
			t.Errorf("%+v, want %+v", again, sub)
		}
	})
}

func FuzzShort(f *testing.F) {
	f.Add("\U0010FFFF\U0010FFFFa\xff")
	f.Fuzz(func(t *testing.T, text string) {
		d := encode(Submission{ID: "1", Error: short(text)})
		if _, size, err := store.Normal(d); err != nil || size > 5000 {
			t.Error(size, err)
		}
	})
}
