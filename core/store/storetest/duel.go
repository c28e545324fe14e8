package storetest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// duel has an engine and the model do the same, and compares what comes of it.
type duel struct {
	engine  store.Store
	names   [2]string
	indexes []store.Index
}

// A step is what one call of a duel is made of: bytes for a draw. As each has its own, one may be left out, or be made simpler, and the
// others stay as they are.
type step []byte

const (
	stepSize = 256
	maxSteps = 40
)

// layouts are the indexes that duels are fought with.
func layouts() map[string][]store.Index {
	return map[string][]store.Index{
		"without indexes": nil,
		"with indexes":    {{Fields: []string{"a"}}, {Fields: []string{"n", "b"}}, {Fields: []string{"d.a"}}, {Fields: []string{"b", "id"}}},
		"with unique indexes": {
			{Fields: []string{"u"}, Unique: true}, {Fields: []string{"a", "b"}, Unique: true}, {Fields: []string{"n"}},
		},
		"with list indexes": append(listed("a", "b", "l", "ref", "d.a", "l.a", "u"), store.Index{Fields: []string{"u"}, Unique: true}),
	}
}

func newDuel(ctx context.Context, engine store.Store, name string, indexes []store.Index) (*duel, error) {
	d := &duel{engine, [2]string{name + "-l", name + "-r"}, indexes}
	return d, engine.Ensure(ctx, d.collections()...)
}

func (d *duel) collections() []store.Collection {
	return []store.Collection{{Name: d.names[0], Indexes: d.indexes}, {Name: d.names[1], Indexes: d.indexes}}
}

// seeded returns steps out of a seed. The first ones bring documents.
func seeded(seed uint64) []step {
	random := rand.New(rand.NewPCG(seed, 1))
	steps := make([]step, maxSteps)
	for i := range steps {
		steps[i] = make(step, stepSize)
		for at := range steps[i] {
			steps[i][at] = byte(random.Uint32())
		}
		if i < 6 {
			steps[i][0], steps[i][1] = 0, 3 // four writes
		}
	}
	return steps
}

// result is what came of one call.
type result struct {
	what  string
	value any
	err   error
}

func (r result) String() string {
	if r.err != nil {
		return fmt.Sprintf("%v (code %q)", r.err, fault.CodeOf(r.err))
	}
	return Describe(r.value)
}

// call carries out a step.
func (d *duel) call(ctx context.Context, on store.Store, s step) result {
	from := &draw{s, d.names, slices.ContainsFunc(d.indexes, func(i store.Index) bool { return !i.List && i.Fields[0] != "u" })}
	switch from.pick(8) {
	case 0, 1, 2:
		writes := make([]store.Write, 1+from.pick(4))
		for i := range writes {
			writes[i] = from.write()
		}
		touched, err := on.Apply(ctx, writes...)
		return result{describeAll(writes), touched, err}
	case 3, 4, 5:
		q := from.query(from.pick(2))
		found, err := on.Find(ctx, q)
		return result{"find " + Describe(q), found, err}
	case 6:
		collection := from.pick(2)
		f := from.filter(collection, 3, false)
		n, err := on.Count(ctx, d.names[collection], f)
		return result{"count " + d.names[collection] + " where " + Describe(f), n, err}
	}
	q, c := from.query(from.pick(2)), from.change()
	claimed, err := on.Claim(ctx, q, c)
	return result{"claim " + Describe(q) + ": " + Describe(c), claimed, err}
}

// fight returns after how many steps the two disagree, and how; 0 if they do not.
func (d *duel) fight(ctx context.Context, steps []step) (int, string, error) {
	model := NewMemory()
	if err := model.Ensure(ctx, d.collections()...); err != nil {
		return 0, "", err
	}
	if _, err := d.engine.Apply(ctx, store.Delete{Collection: d.names[0]}, store.Delete{Collection: d.names[1]}); err != nil {
		return 0, "", err
	}
	var story []string
	for i, s := range steps {
		a, b := d.call(ctx, d.engine, s), d.call(ctx, model, s)
		story = append(story, a.what)
		if !agree(a, b) {
			return i + 1, fmt.Sprintf("%s\nthe engine: %v\nthe model:  %v", strings.Join(story, "\n"), a, b), nil
		}
		if s[0]%8 > 2 && s[0]%8 != 7 {
			continue // it has changed nothing
		}
		for _, name := range d.names {
			all := store.Query{Collection: name, Limit: store.MaxFind}
			found, err := d.engine.Find(ctx, all)
			if err != nil {
				return 0, "", err
			}
			want, _ := model.Find(ctx, all)
			if !Same(found, want) {
				return i + 1, fmt.Sprintf("%s\nthe engine then holds in %s: %s\nthe model: %s", strings.Join(story, "\n"), name, Describe(found), Describe(want)), nil
			}
		}
	}
	return 0, "", nil
}

// agree reports whether two results are the same. Where several writes, or one of several documents, can't be done, which one is found
// first is not promised.
func agree(a, b result) bool {
	if a.err == nil && b.err == nil {
		return Same(a.value, b.value)
	}
	refused := []fault.Code{fault.Invalid, fault.Conflict}
	x, y := fault.CodeOf(a.err), fault.CodeOf(b.err)
	return a.err != nil && b.err != nil && (x == y || slices.Contains(refused, x) && slices.Contains(refused, y))
}

// shrink returns the fewest and simplest steps that it can find after which the two still disagree, and how they do.
func (d *duel) shrink(ctx context.Context, steps []step, how string) ([]step, string) {
	until := time.Now().Add(15 * time.Second)
	try := func(simpler []step) bool {
		if time.Now().After(until) {
			return false
		}
		n, disagreement, err := d.fight(ctx, simpler)
		if n == 0 || err != nil {
			return false
		}
		steps, how = simpler[:n], disagreement
		return true
	}
	for better := true; better; {
		better = false
		for i := len(steps) - 1; i >= 0; i-- {
			if i < len(steps) && try(slices.Delete(slices.Clone(steps), i, i+1)) {
				better = true
			}
		}
		for size := stepSize / 2; size > 0; size /= 4 {
			for i := range steps {
				for at := 0; i < len(steps) && at < len(steps[i]); at += size {
					if simpler := zeroed(steps, i, at, size); simpler != nil && try(simpler) {
						better = true
					}
				}
			}
		}
	}
	return steps, how
}

// zeroed returns steps in which some bytes of one are zeros, nil if they are already.
func zeroed(steps []step, i, at, size int) []step {
	end := min(at+size, len(steps[i]))
	if len(bytes.Trim(steps[i][at:end], "\x00")) == 0 {
		return nil
	}
	steps = slices.Clone(steps)
	steps[i] = slices.Clone(steps[i])
	clear(steps[i][at:end])
	return steps
}

// disagreement returns how engine and model disagree in these steps, or a simpler form of them; "" if they do not.
func (d *duel) disagreement(ctx context.Context, steps []step) (string, error) {
	n, how, err := d.fight(ctx, steps)
	if n == 0 || err != nil {
		return "", err
	}
	_, how = d.shrink(ctx, steps[:n], how)
	return how, nil
}

// seedVariable is set to have the model's tests begin with the seed that failed.
const seedVariable = "EDGE_STORETEST_SEED"

func model() []test {
	var tests []test
	for name, indexes := range layouts() {
		tests = append(tests, test{"an engine does what the model does, " + name, func(s *scene) {
			seed, err := strconv.ParseUint(cmp.Or(os.Getenv(seedVariable), strconv.FormatInt(time.Now().UnixNano(), 10)), 10, 64)
			s.must(err)
			d, err := newDuel(s.ctx, s.Store, s.newName(), indexes)
			s.must(err)
			duels, start := uint64(8), time.Now()
			if os.Getenv("EDGE_SOAK") != "" {
				duels = 100
			}
			for n := uint64(0); n < duels && time.Since(start) < patience/2; n++ {
				how, err := d.disagreement(s.ctx, seeded(seed+n))
				s.must(err)
				if how != "" {
					s.Fatalf("%s=%d shows it again:\n%s", seedVariable, seed+n, how)
				}
			}
		}})
	}
	return tests
}

// Fuzz has an engine do what the bytes make it do, beside the model. Go's fuzzer is to be told -fuzzminimizetime=1x: an engine never runs
// twice through the same code, so that inputs can't be minimised by it, and a disagreement is made short here.
func Fuzz(f *testing.F, e Engine) {
	engine := e.Open(f)
	var duels []*duel
	for i, name := range []string{"without indexes", "with indexes", "with unique indexes", "with list indexes"} {
		d, err := newDuel(f.Context(), engine, fmt.Sprint("fuzz-", i), layouts()[name])
		if err != nil {
			f.Fatal(err)
		}
		duels = append(duels, d)
	}
	for seed := range uint64(6) {
		f.Add(byte(seed), []byte(slices.Concat(seeded(seed)[:12]...)))
	}
	f.Fuzz(func(t *testing.T, layout byte, data []byte) {
		var steps []step
		for chunk := range slices.Chunk(data, stepSize) {
			steps = append(steps, chunk)
		}
		how, err := duels[int(layout)%len(duels)].disagreement(t.Context(), steps[:min(len(steps), maxSteps)])
		if err != nil || how != "" {
			t.Fatalf("%v\n%s", err, how)
		}
	})
}
