package main

import (
	"strings"
	"testing"

	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
)

// What was acknowledged is not forgotten: while MongoDB is away deliveries are kept on this host's disk, also if edge is killed then.
func TestAStreamOfWebhooksSurvivesMongoDB(t *testing.T) {
	t.Parallel()
	surviveMongoDB(t, 1, 4, 15)
}

func TestSoakAStreamOfWebhooksSurvivesMongoDB(t *testing.T) {
	soaking(t)
	surviveMongoDB(t, 1, 40, 200)
}

func TestSoakAStreamOfWebhooksSurvivesAReplicaSetOfThree(t *testing.T) {
	soaking(t)
	surviveMongoDB(t, 3, 20, 200)
}

// surviveMongoDB kills mongod, edge, and both in turn, in each round when so many deliveries more were acknowledged.
func surviveMongoDB(t *testing.T, members, rounds, each int) {
	set := mongodbtest.Start(t, mongodbtest.Options{Members: members})
	o := newOutpost(t, mongodbtest.In(t, set.URI(), "edge"))
	p := provide(t, o.start())
	restart := func() {
		o.kill()
		p.to()
		p.to(o.start())
	}
	away := []int{202}
	if members > 1 {
		away = []int{200, 202} // others take its place
	}
	for round := range rounds {
		p.await(each, 200)
		switch primary := set.Primary(t); round % 4 {
		case 0:
			primary.Kill(t)
			p.await(each, away...)
			primary.Restart(t)
		case 1:
			restart()
		case 2: // edge comes back first
			primary.Kill(t)
			p.await(each, away...)
			restart()
			p.await(each, away...)
			primary.Restart(t)
		case 3: // MongoDB comes back first
			o.kill()
			primary.Kill(t)
			p.to()
			primary.Restart(t)
			p.to(o.start())
		}
	}
	p.await(each, 200)
	p.end()
	p.handled(o)
	if p.tally[202] == 0 && members == 1 {
		t.Error("nothing was kept while MongoDB was away")
	}
	if status := o.edge("status"); strings.Contains(status, "brought into the inbox") {
		t.Error(status)
	}
}

func TestTwoEdgesShareWebhooks(t *testing.T) {
	t.Parallel()
	shareWebhooks(t, 60)
}

func TestSoakTwoEdgesShareWebhooks(t *testing.T) {
	soaking(t)
	shareWebhooks(t, 5000)
}

// shareWebhooks has two edges on one replica set take and handle so many.
func shareWebhooks(t *testing.T, all int) {
	set := mongodbtest.Start(t, mongodbtest.Options{})
	where := mongodbtest.In(t, set.URI(), "edge")
	one, other := newOutpost(t, where, "timeout: 2s", "timeout: 30s"), newOutpost(t, where, "timeout: 2s", "timeout: 30s")
	p := provide(t, one.start(), other.start())
	p.await(all, 200)
	p.end()
	once(t, p.handled(one, other))
	a, b := len(linesOf(t, one.record)), len(linesOf(t, other.record))
	t.Logf("one handled %d, the other %d", a, b)
	if a == 0 || b == 0 {
		t.Error("one of them does all of the work")
	}
}
