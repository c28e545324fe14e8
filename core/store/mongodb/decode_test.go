package mongodb

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/onehost/edge/core/store"
)

func everything() store.Document {
	return store.Document{
		"id": "1", "s": "a\x00é", "i": int64(-1) << 63, "f": 1.5, "b": true, "no": false, "t": time.UnixMilli(-62135596800000).UTC(), "y": []byte{0, 1}, "empty": []byte{},
		"l": []any{nil, int64(1), []any{}, store.Document{}}, "d": store.Document{"": nil, "a.b": "x", "$c": store.Document{"_id": int64(2)}},
	}
}

func TestADocumentIsDecodedAsItWasEncoded(t *testing.T) {
	d, size, err := store.Normal(everything())
	if err != nil {
		t.Fatal(err)
	}
	raw := encode(d, size)
	if len(raw) != size+1 {
		t.Errorf("%d bytes; %d and one for _id were counted", len(raw), size)
	}
	if err := raw.Validate(); err != nil {
		t.Errorf("the driver finds it damaged: %v", err)
	}
	got, err := decode("things", raw)
	if err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("%v, %v\nwant %v", got, err, d)
	}
}

func TestWhatOthersHaveWrittenIsReadWhereItCanBeAndNamedWhereItCanNot(t *testing.T) {
	for _, test := range []struct {
		written bson.D
		want    string // in the error; "" for none
	}{
		{bson.D{{Key: "_id", Value: "1"}, {Key: "a", Value: int32(7)}}, ""},
		{bson.D{{Key: "_id", Value: "1"}, {Key: "a", Value: nil}}, ""},
		{bson.D{{Key: "_id", Value: int64(1)}}, "its _id is not a string"},
		{bson.D{{Key: "_id", Value: bson.NewObjectID()}}, `field "_id": a value of the type objectID`},
		{bson.D{{Key: "_id", Value: "1"}, {Key: "id", Value: "2"}}, "a field id besides its _id"},
		{bson.D{{Key: "_id", Value: "1"}, {Key: "a", Value: bson.NewObjectID()}}, `things, document "1": field "a": a value of the type objectID`},
		{bson.D{{Key: "_id", Value: "1"}, {Key: "a", Value: bson.D{{Key: "b", Value: bson.A{bson.NewDecimal128(1, 1)}}}}}, `field "a": field "b": value 0: a value of the type 128-bit decimal`},
		{bson.D{{Key: "_id", Value: "1"}, {Key: "a", Value: bson.Binary{Subtype: 4, Data: make([]byte, 16)}}}, "subtype 4"},
		{bson.D{{Key: "_id", Value: "1"}, {Key: "a", Value: bson.DateTime(1 << 62)}}, "years 1 to 9999"},
	} {
		raw, err := bson.Marshal(test.written)
		if err != nil {
			t.Fatal(err)
		}
		_, err = decode("things", raw)
		if got := errorText(err); test.want == "" && err != nil || !strings.Contains(got, test.want) {
			t.Errorf("%v: %q, want %q", test.written, got, test.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func FuzzDecode(f *testing.F) {
	d, size, err := store.Normal(everything())
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(encode(d, size)))
	f.Add([]byte{5, 0, 0, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := decode("things", b)
		if err != nil {
			return
		}
		normal, size, err := store.Normal(d)
		if err != nil { // names and strings that only others write
			return
		}
		again, err := decode("things", encode(normal, size))
		if err != nil || !reflect.DeepEqual(again, normal) {
			t.Errorf("%v, %v\nwant %v", again, err, normal)
		}
	})
}
