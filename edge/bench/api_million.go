//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	layout "github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

const (
	fewEntries = 1000 // what many are measured beside
	alike      = 40   // entries have the same views: what a filter on them finds
)

// A crowd is edge with so many entries.
type crowd struct {
	*backend
	keeper
	n     int
	ports []int
}

// measureMillion compares reading where there are very many entries with reading where there are few, on both stores.
func (b *bench) measureMillion(ctx context.Context) error {
	engines := []string{"SQLite"}
	uris := map[string]string{"SQLite": embedded}
	var pids []int
	set, err := b.startMongoDB(ctx)
	if err != nil {
		b.failed(fmt.Errorf("%s on MongoDB: %w", apiMillion, err))
	} else {
		defer set.stop()
		engines, uris["MongoDB"], pids = append(engines, "MongoDB"), set.uri, []int{set.child.pid()}
	}
	sizes := []int{fewEntries, b.entries}
	ports, err := freePorts(contentPorts * len(sizes) * len(engines)) // at once: none is taken twice while nobody listens on it yet
	if err != nil {
		return err
	}
	crowds := map[string][]*crowd{}
	var filling errgroup.Group
	for _, engine := range engines {
		for _, n := range sizes {
			c := &crowd{n: n, keeper: keeper{filepath.Join(b.folder, fmt.Sprintf("%s-%s-%d", apiMillion, engine, n)), database(uris[engine], fmt.Sprint("crowd", n))}}
			c.ports, ports = ports[:contentPorts], ports[contentPorts:]
			crowds[engine] = append(crowds[engine], c)
			filling.Go(func() error { return b.fillCrowd(ctx, c) })
		}
	}
	if err := filling.Wait(); err != nil {
		return fmt.Errorf("%s: %w", apiMillion, err)
	}
	for _, engine := range engines {
		var with []int // processes that the server's work is done by
		if engine == "MongoDB" {
			with = pids
		}
		if err := b.measureCrowds(ctx, engine, crowds[engine], with); err != nil {
			return fmt.Errorf("%s on %s: %w", apiMillion, engine, err)
		}
	}
	return nil
}

// fillCrowd has edge make the store's collections, ends it, and writes the entries straight into the store. It may use all cores, as nothing is measured.
func (b *bench) fillCrowd(ctx context.Context, c *crowd) (err error) {
	if err := os.MkdirAll(c.folder, 0o700); err != nil {
		return err
	}
	if c.backend, err = b.contentServer(c.folder, c.uri, c.ports); err != nil {
		return err
	}
	if err := b.launchBackend(ctx, c.backend); err != nil {
		return err
	}
	c.child.stop()
	began := time.Now()
	var filled int
	args := []string{storeWord, "entries", c.place(), filepath.Join(c.folder, "schemas"), strconv.Itoa(c.n)}
	if err := b.askOn(ctx, program{args: args, cores: &b.cores.all}, &filled, 20*time.Minute); err != nil {
		return err
	}
	fmt.Fprintf(b.log, "%s: %d entries written in %v\n", apiMillion, filled, time.Since(began).Round(time.Second))
	return nil
}

// measureCrowds has both servers of an engine read in turns.
func (b *bench) measureCrowds(ctx context.Context, engine string, crowds []*crowd, with []int) error {
	for _, c := range crowds {
		if err := b.launchBackend(ctx, c.backend); err != nil {
			return err
		}
		defer c.child.stop()
		if err := c.call(ctx, http.MethodGet, strapiNote+"/"+documentIDOf(c.n-1), "", nil, nil); err != nil {
			return err
		}
	}
	for _, what := range []struct {
		name string
		path func(n int) string // for the nth entry
	}{
		{"one entry", func(n int) string { return strapiNote + "/" + documentIDOf(n) }},
		{"filter on an index", func(n int) string { return fmt.Sprintf("%s?filters%%5Bviews%%5D=%d", strapiNote, n/alike) }},
	} {
		for round := range b.reps {
			var costs [2]cost
			for i := range crowds {
				at := (i + round) % len(crowds)
				c := crowds[at]
				var made atomic.Int64
				asking := callers{address: c.address(), made: &made, request: func(int) string { return requestText(what.path(rand.IntN(c.n)), "") }}
				var err error
				if costs[at], err = asking.cost(ctx, b.span(), append([]int{c.child.pid()}, with...)...); err != nil {
					return fmt.Errorf("%s of %d: %w", what.name, c.n, err)
				}
			}
			few, many := costs[0], costs[1]
			beside := fmt.Sprintf("of %d", fewEntries)
			f := finding{Row: apiMillion, What: fmt.Sprintf("%s of %d on %s: CPU time", what.name, b.entries, engine), Beside: beside, Unit: "µs", Aim: aim{Most: 1.3}}
			b.find(f, many.cpu, few.cpu)
			f.What, f.Unit, f.Aim, f.decimals = fmt.Sprintf("%s of %d on %s: p99", what.name, b.entries, engine), "ms", aim{}, 1
			b.find(f, many.p99, few.p99)
			fmt.Fprintf(b.log, "round %d/%d  %s %s on %s: %.0f µs, %.0f µs of %d\n", round+1, b.reps, apiMillion, what.name, engine, many.cpu, few.cpu, fewEntries)
		}
	}
	return nil
}

// documentIDOf is the id of the nth entry: as if one had come every millisecond, with digits that nothing can be told from.
func documentIDOf(n int) string {
	const digits, time, random = 36, 36 * 36 * 36 * 36 * 36 * 36 * 36, 16
	of := rand.New(rand.NewPCG(uint64(n), 1))
	id := []byte("m" + strconv.FormatInt(int64(time/2+n), digits))
	for range random {
		id = append(id, strconv.FormatInt(of.Int64N(digits), digits)...)
	}
	return string(id)
}

// fillEntries writes notes into a store as edge keeps them, many at once.
func fillEntries(ctx context.Context, place, schemas, count string) (filled int, err error) {
	n, err := strconv.Atoi(count)
	if err != nil {
		return 0, err
	}
	set, problems := schema.Load(schemas, []string{"en"})
	if set == nil || set.Type("note") == nil {
		return 0, fmt.Errorf("there are no content types in %s: %v", schemas, problems)
	}
	t := set.Type("note")
	s, err := openStore(ctx, place)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	if err := s.Ensure(ctx, layout.Collection(t)); err != nil {
		return 0, err
	}
	began := time.Now().Add(-time.Duration(n) * time.Millisecond).UTC().Truncate(time.Millisecond)
	for filled < n {
		var writes []store.Write
		for ; filled < n && len(writes) < store.MaxWrites; filled++ {
			writes = append(writes, store.Put{Collection: layout.Name(t), Document: note(t, filled, began.Add(time.Duration(filled)*time.Millisecond))})
		}
		if err := insist(ctx, s, writes); err != nil {
			return filled, err
		}
	}
	return filled, nil
}

// insist writes what may be written twice. A mongod on a busy machine takes longer now and then than it gives itself for a transaction.
func insist(ctx context.Context, s store.Store, writes []store.Write) (err error) {
	const tries = 5
	for range tries {
		if _, err = s.Apply(ctx, writes...); !errors.Is(err, fault.Unavailable) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// note is the row of the nth note, which was made at a time.
func note(t *schema.Type, n int, at time.Time) store.Document {
	id := documentIDOf(n)
	d := store.Document{
		"id": layout.RowID(t, id, "", false), layout.DocumentID: id, layout.Number: int64(n + 1), layout.Revision: int64(1), layout.CreatedAt: at, layout.UpdatedAt: at, layout.PublishedAt: at,
	}
	for name, value := range article(fmt.Sprintf("note %09d", n), n) {
		d[name] = value
	}
	d["views"] = int64(n / alike)
	return d
}
