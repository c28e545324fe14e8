package move

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/lease"
	"github.com/onehost/edge/core/store/storetest"
)

func described() []store.Collection {
	return []store.Collection{
		{Name: "entries", Indexes: []store.Index{{Fields: []string{"n"}, Unique: true}, {Fields: []string{"title", "n"}}, {Fields: []string{"list"}, List: true}}, Feed: time.Hour},
		{Name: "keys", Private: true},
		{Name: "nothing"},
		{Name: "sessions", Expire: "until"},
	}
}

// everything is a document with all kinds of values.
func everything(i int) store.Document {
	return store.Document{
		"id": fmt.Sprintf("%05d-ä", i), "n": i, "title": strings.Repeat("title ", i%50), "float": float64(i) + 0.5, "whole": float64(i), "yes": i%2 == 0,
		"at": time.Date(2024, 2, 29, 1, 2, 3, i%1000*1e6, time.UTC), "bytes": []byte{0, 1, byte(i)}, "empty": []byte{}, "none": []any{},
		"list":  []any{i, float64(i), "a", nil, []any{true, false}, store.Document{"a.b": nil, "$c": 1}},
		"inner": store.Document{"z": 1, "a": store.Document{}, "": "no name"},
	}
}

func fill(t *testing.T, s store.Store, documents int) {
	t.Helper()
	must(t, s.Ensure(t.Context(), described()...))
	for from := 0; from < documents; from += 500 {
		var writes []store.Write
		for i := from; i < min(documents, from+500); i++ {
			writes = append(writes, store.Insert{Collection: "entries", Document: everything(i)})
		}
		apply(t, s, writes...)
	}
	apply(t, s,
		store.Put{Collection: "keys", Document: store.Document{"id": "k", "key": []byte("secret")}},
		store.Put{Collection: "sessions", Document: store.Document{"id": "a", "until": time.Now().Add(time.Hour)}})
}

func filled(t *testing.T, documents int) *storetest.Memory {
	s := storetest.NewMemory()
	fill(t, s, documents)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func apply(t *testing.T, s store.Store, writes ...store.Write) {
	t.Helper()
	_, err := s.Apply(t.Context(), writes...)
	must(t, err)
}

// same fails the test when the collections or documents of two stores differ.
func same(t *testing.T, from, to store.Store) {
	t.Helper()
	a, b := content(t, from), content(t, to)
	if !reflect.DeepEqual(a, b) {
		t.Errorf("the stores differ: %d and %d collections", len(a), len(b))
		for name := range a {
			if !reflect.DeepEqual(a[name], b[name]) {
				t.Errorf("%s: %.300v\n%.300v", name, a[name], b[name])
			}
		}
	}
}

func content(t *testing.T, s store.Store) map[string][]any {
	t.Helper()
	all, err := s.Collections(t.Context())
	must(t, err)
	kept := make(map[string][]any)
	for _, c := range all {
		if isOwn(c.Name) {
			continue
		}
		kept[c.Name] = []any{fmt.Sprint(c)}
		found, err := s.Find(t.Context(), store.Query{Collection: c.Name, Limit: store.MaxFind})
		must(t, err)
		for _, d := range found {
			kept[c.Name] = append(kept[c.Name], d)
		}
	}
	return kept
}

// inSmallPages copies few documents at a time.
func inSmallPages(ctx context.Context, from, to store.Store, progress func(Progress)) (Report, error) {
	return (&copier{from: from, to: to, progress: progress, page: 20}).copy(ctx)
}

func TestAllIsCopiedAndReported(t *testing.T) {
	from, to := filled(t, 400), storetest.NewMemory()
	var last Progress
	steps := make(map[string]int)
	report, err := Copy(t.Context(), from, to, func(p Progress) {
		if p.Collection == last.Collection && p.Verifying == last.Verifying && p.Done < last.Done || p.Done > p.Total {
			t.Errorf("%v came after %v", p, last)
		}
		last = p
		steps[fmt.Sprint(p.Collection, p.Verifying)]++
	})
	must(t, err)
	must(t, Usable(t.Context(), from))
	same(t, from, to)
	entries := report.Collections[0]
	if len(report.Collections) != 4 || entries.Name != "entries" || entries.Documents != 400 || entries.Bytes < 1e5 || len(entries.Hash) != 64 {
		t.Errorf("%+v", report)
	}
	if steps["entriesfalse"] < 3 || steps["entriestrue"] < 2 || steps["sessionstrue"] == 0 {
		t.Errorf("progress was said so often: %v", steps)
	}
}

func TestTheSameContentHasTheSameHashWhateverItCameThrough(t *testing.T) {
	first, second := storetest.NewMemory(), storetest.NewMemory()
	there, err := Copy(t.Context(), filled(t, 100), first, nil)
	must(t, err)
	back, err := Copy(t.Context(), first, second, nil)
	must(t, err)
	if !reflect.DeepEqual(there.Collections[0], back.Collections[0]) {
		t.Errorf("%v\n%v", there, back)
	}
	same(t, first, second)
}

func TestWhatIsOtherIsEncodedOtherwise(t *testing.T) {
	seen := make(map[string]store.Document)
	moment := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, v := range []any{
		nil, true, false, int64(0), int64(1), 0.0, 1.0, "", "1", "a", []byte{}, []byte("a"), moment, moment.Add(time.Millisecond), moment.UnixMilli(),
		[]any{}, []any{[]any{}}, []any{"a", "b"}, []any{"ab"}, []any{nil}, []any{[]any{"a"}, "b"}, []any{[]any{"a", "b"}},
		store.Document{}, store.Document{"a": nil}, store.Document{"a": "b"}, store.Document{"a": store.Document{"b": "c"}}, store.Document{"a": store.Document{}, "b": "c"},
	} {
		d := store.Document{"id": "1", "v": v}
		encoded, err := appendDocument(nil, d)
		must(t, err)
		if other, ok := seen[string(encoded)]; ok {
			t.Errorf("%v is encoded as %v", d, other)
		}
		seen[string(encoded)] = d
	}
	if _, err := appendDocument(nil, store.Document{"v": []any{int32(1)}}); err == nil {
		t.Error("what is no value has an encoding")
	}
}

// failing is a store whose connection breaks in the middle of a write, done or not.
type failing struct {
	store.Store
	writes int // that succeed
	done   bool
}

func (f *failing) Apply(ctx context.Context, writes ...store.Write) ([]int, error) {
	if f.writes--; f.writes >= 0 {
		return f.Store.Apply(ctx, writes...)
	}
	if f.done {
		f.Store.Apply(ctx, writes...)
	}
	return nil, fault.Unavailable
}

func TestACopyGoesOnWhereverItWasInterrupted(t *testing.T) {
	for _, done := range []bool{false, true} {
		for succeed := 0; ; succeed++ {
			from, to := filled(t, 60), storetest.NewMemory()
			_, err := inSmallPages(t.Context(), from, &failing{to, succeed, done}, func(Progress) {})
			if err == nil {
				if succeed < 10 {
					t.Errorf("all was copied in %d writes", succeed)
				}
				break
			}
			if !errors.Is(err, fault.Unavailable) {
				t.Fatal(err)
			}
			if _, begun := stageOf(t, to); begun && !done && !errors.Is(Usable(t.Context(), to), fault.Conflict) {
				t.Errorf("after %d writes anybody may use the half of a copy", succeed)
			}
			report, err := inSmallPages(t.Context(), from, to, func(Progress) {})
			must(t, Usable(t.Context(), to))
			if complete, ok := stageOf(t, to); err != nil && !(ok && complete && done) {
				t.Fatalf("after %d writes: %v", succeed, err)
			}
			if err == nil && report.Collections[0].Documents != 60 {
				t.Errorf("after %d writes: %+v", succeed, report)
			}
			same(t, from, to)
		}
	}
}

// verifiedOnly is a copy that was interrupted when it was verified.
func verifiedOnly(t *testing.T, from store.Store) store.Store {
	t.Helper()
	for succeed := 0; ; succeed++ {
		to := storetest.NewMemory()
		if _, err := inSmallPages(t.Context(), from, &failing{to, succeed, false}, func(Progress) {}); err == nil {
			t.Fatal("no copy was interrupted when it was verified")
		}
		if d, err := to.Get(t.Context(), copies, copyID); err == nil && stage(d.String("stage")) == verified {
			return to
		}
	}
}

func TestWhatIsWrittenBeforeAVerifiedCopyIsCompletedIsTold(t *testing.T) {
	from := filled(t, 60)
	to := verifiedOnly(t, from)
	apply(t, from, store.Insert{Collection: "entries", Document: store.Document{"id": "late"}})
	if _, err := Copy(t.Context(), from, to, nil); !errors.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "late") {
		t.Error(err)
	}
	if err := Usable(t.Context(), to); !errors.Is(err, fault.Conflict) {
		t.Errorf("a copy that lacks a document may be used: %v", err)
	}
}

func TestWhatExpiresBeforeAVerifiedCopyIsCompletedIsNoDifference(t *testing.T) {
	from := filled(t, 60)
	apply(t, from, store.Put{Collection: "sessions", Document: store.Document{"id": "0", "until": time.Now().Add(-time.Second)}})
	to := verifiedOnly(t, from)
	must(t, to.Ensure(t.Context(), described()...))
	apply(t, to, store.Delete{Collection: "sessions", Filter: store.ID("0")})
	report, err := Copy(t.Context(), from, to, nil)
	must(t, err)
	if c := report.Collections[3]; c.Expired != 1 || c.Differ != 0 {
		t.Errorf("%+v", c)
	}
}

func stageOf(t *testing.T, s store.Store) (isComplete, ok bool) {
	t.Helper()
	d, err := s.Get(t.Context(), copies, copyID)
	return stage(d.String("stage")) == complete, err == nil
}

func TestWhatHoldsAnythingElseIsRefused(t *testing.T) {
	from := filled(t, 30)
	own := storetest.NewMemory()
	must(t, own.Ensure(t.Context(), store.Collection{Name: "mine"}))
	apply(t, own, store.Insert{Collection: "mine", Document: store.Document{"id": "a"}})
	half := storetest.NewMemory()
	_, err := Copy(t.Context(), filled(t, 30), &failing{half, 5, false}, nil)
	if !errors.Is(err, fault.Unavailable) {
		t.Fatal(err)
	}
	whole := storetest.NewMemory()
	_, err = Copy(t.Context(), from, whole, nil)
	must(t, err)
	for name, to := range map[string]store.Store{"other data": own, "half a copy of another store": half, "a complete copy": whole, "itself": from} {
		before := content(t, to)
		if _, err := Copy(t.Context(), from, to, nil); !errors.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "empty it first") {
			t.Errorf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(before, content(t, to)) {
			t.Errorf("%s was changed", name)
		}
	}
}

// copyWith copies, and has something done when most is copied.
func copyWith(t *testing.T, from, to store.Store, meddle func()) (Report, error) {
	t.Helper()
	done := false
	return Copy(t.Context(), from, to, func(p Progress) {
		if p.Collection == "sessions" && !done { // the last one, of which nothing has been copied
			done = true
			meddle()
		}
	})
}

func TestWhatIsDamagedOrLostInTheCopyIsFound(t *testing.T) {
	for name, write := range map[string]store.Write{
		"lost":             store.Delete{Collection: "entries", Filter: store.ID("00077-ä")},
		"the last lost":    store.Delete{Collection: "entries", Filter: store.ID("00099-ä")},
		"one field":        store.Update{Collection: "entries", Filter: store.ID("00077-ä"), Change: store.Change{Set: store.Document{"yes": true}}},
		"int for float":    store.Update{Collection: "entries", Filter: store.ID("00077-ä"), Change: store.Change{Set: store.Document{"whole": 77}}},
		"one too many":     store.Insert{Collection: "entries", Document: store.Document{"id": "00077-z"}},
		"one too many end": store.Insert{Collection: "entries", Document: store.Document{"id": "z"}},
	} {
		to := storetest.NewMemory()
		report, err := copyWith(t, filled(t, 100), to, func() { apply(t, to, write) })
		if err == nil || fault.CodeOf(err) != "" {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c := report.Collections[0]; !c.Damaged || c.Differ != 1 || !strings.Contains(err.Error(), c.Examples[0]) {
			t.Errorf("%s: %+v %v", name, c, err)
		}
	}
}

func TestWhatIsWrittenMeanwhileIsTold(t *testing.T) {
	for name, write := range map[string]store.Write{
		"new":     store.Insert{Collection: "entries", Document: store.Document{"id": "00077-z"}},
		"changed": store.Update{Collection: "entries", Filter: store.ID("00077-ä"), Change: store.Change{Set: store.Document{"yes": true}}},
		"gone":    store.Delete{Collection: "entries", Filter: store.ID("00077-ä")},
	} {
		from := filled(t, 100)
		report, err := copyWith(t, from, storetest.NewMemory(), func() { apply(t, from, write) })
		if !errors.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "00077") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c := report.Collections[0]; c.Damaged || c.Differ != 1 || c.Documents != 100 {
			t.Errorf("%s: %+v", name, c)
		}
	}
	from := filled(t, 30)
	_, err := copyWith(t, from, storetest.NewMemory(), func() { must(t, from.Ensure(t.Context(), store.Collection{Name: "newest"})) })
	if !errors.Is(err, fault.Conflict) {
		t.Errorf("a new collection: %v", err)
	}
}

func TestWhatExpiresMeanwhileIsNoDifference(t *testing.T) {
	from, to := filled(t, 30), storetest.NewMemory()
	apply(t, from, store.Put{Collection: "sessions", Document: store.Document{"id": "0", "until": time.Now().Add(-time.Second)}})
	report, err := Copy(t.Context(), from, to, func(p Progress) {
		if p.Collection == "entries" && p.Verifying {
			_, err := from.Apply(t.Context(), store.Delete{Collection: "sessions", Filter: store.ID("0")})
			must(t, err)
		}
	})
	must(t, err)
	if c := report.Collections[3]; c.Expired != 1 || c.Documents != 2 {
		t.Errorf("%+v", c)
	}
}

func TestNothingExpiresInACopyBeforeItIsComplete(t *testing.T) {
	from, to := filled(t, 0), storetest.NewMemory()
	_, err := Copy(t.Context(), from, to, func(Progress) {
		all, err := to.Collections(t.Context())
		must(t, err)
		if slices.ContainsFunc(all, func(c store.Collection) bool { return c.Expire != "" || c.Feed > 0 }) {
			t.Error("documents can expire, or are told to feeds, while they are copied")
		}
	})
	must(t, err)
	same(t, from, to)
}

func TestLeasesStayAndTheirTokensGoOn(t *testing.T) {
	from, to := filled(t, 0), storetest.NewMemory()
	must(t, from.Ensure(t.Context(), lease.Collection()))
	take := func(s store.Store) int64 {
		l, err := lease.New(s, "test", slog.New(slog.DiscardHandler)).Take(t.Context(), "job", time.Minute)
		must(t, err)
		must(t, l.Release(t.Context()))
		return l.Token()
	}
	take(from)
	before := take(from)
	_, err := Copy(t.Context(), from, to, nil)
	must(t, err)
	if n, err := to.Count(t.Context(), "leases", store.Ne("id", "*")); n != 0 || err != nil {
		t.Errorf("%d leases were copied (%v)", n, err)
	}
	if after := take(to); after <= before {
		t.Errorf("token %d came after %d", after, before)
	}
}

func TestAPageHasNoMoreBytesThanItShouldButForItsLastDocument(t *testing.T) {
	s := storetest.NewMemory()
	must(t, s.Ensure(t.Context(), store.Collection{Name: "entries"}))
	for i, size := range []int{1, 15 << 20, 15 << 20, 1, 2 << 20, 2 << 20, 2 << 20, 3 << 20, 15 << 20, 1} {
		apply(t, s, store.Insert{Collection: "entries", Document: store.Document{"id": fmt.Sprint(i), "v": strings.Repeat("x", max(1, size-100))}})
	}
	p := &pages{s, "entries", "", maxPage}
	for _, want := range []string{"0 1", "2", "3 4 5 6", "7 8", "9", ""} {
		page, err := p.next(t.Context())
		must(t, err)
		var ids []string
		for _, d := range page {
			ids = append(ids, d.ID())
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("a page has %q, want %q", got, want)
		}
	}
}
