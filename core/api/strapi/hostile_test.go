package strapi

import (
	"math"
	"strings"
	"testing"

	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

func TestATypesNameIsNoWayToAnotherFolder(t *testing.T) {
	for _, name := range []string{"../../evil", "a/../../../evil", "/evil", `..\evil`, "", "."} {
		d := describer{files: map[string][]byte{}, components: map[string]object{}, types: map[string]bool{}}
		text := `{"api::evil.` + strings.ReplaceAll(name, `\`, `\\`) + `": {"kind": "collectionType", "attributes": {}}}`
		if err := d.describe(text); err == nil || !strings.Contains(err.Error(), "is no name of a content type") {
			t.Errorf("%q: %v, files %d", name, err, len(d.files))
		}
	}
}

func TestNumbersThatLeaveNoRoomAreRefused(t *testing.T) {
	part := &schema.Component{UID: "a.part"}
	attributes := []*schema.Attribute{{Name: "json", Kind: schema.JSON}, {Name: "part", Kind: schema.Part, Component: part}, {Name: "zone", Kind: schema.Zone, Zone: []*schema.Component{part}}}
	row := store.Document{
		"json": store.Document{rows.Number: int64(math.MaxInt64)}, "part": store.Document{rows.Number: int64(3)},
		"zone": []any{store.Document{rows.Number: int64(7), rows.Component: "a.part"}},
	}
	if n := greatestPart(attributes, row); n != 7 {
		t.Errorf("the greatest component is %d", n)
	}
	if _, err := (converter{}).part(attributes[1], map[string]any{"id": int64(math.MaxInt64)}, 0); err == nil {
		t.Error("a component with the last of all numbers is taken")
	}
}
