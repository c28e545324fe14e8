package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/jobs"
	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
)

// Three edges on one replica set have one clock: each second is due once, also when one of them is killed.
func TestThreeEdgesRunEachDueTimeOnce(t *testing.T) {
	t.Parallel()
	w := overseer(t)
	set := mongodbtest.Start(t, mongodbtest.Options{})
	where := mongodbtest.In(t, set.URI(), "edge")
	job := "jobs:\n  tick: {schedule: \"@every 1s\", http: {url: \"" + w.URL + "/tick\"}, missed: all, missed_limit: 1000, overlap: queue}\nhosts:\n"
	var outposts []*outpost
	for range 3 {
		o := newOutpost(t, where, "hosts:\n", job)
		o.start()
		outposts = append(outposts, o)
	}
	await(t, "the first run", func() bool { return w.heard("POST /tick ") })
	await(t, "some runs", func() bool { return len(ticks(t, outposts[1])) >= 5 })
	outposts[0].kill()
	killed := time.Now()
	var all []jobs.Record
	awaitFor(t, time.Minute, "the runs of ten seconds after one was killed", func() bool {
		all = ticks(t, outposts[1])
		return len(all) > 0 && all[0].Due.After(killed.Add(10*time.Second)) && !slices.ContainsFunc(all, func(r jobs.Record) bool { return r.State != jobs.Ended })
	})
	for i, r := range all {
		if r.Outcome != jobs.Succeeded {
			t.Errorf("%+v", r)
		}
		if i > 0 && all[i-1].Due.Sub(r.Due) != time.Second {
			t.Errorf("%v comes after %v", all[i-1].Due, r.Due)
		}
	}
	if said := outposts[2].edge("jobs", "-c", outposts[2].file); !strings.Contains(said, "succeeded") {
		t.Error(said)
	}
}

// ticks are the runs of the job, the latest due first.
func ticks(t *testing.T, o *outpost) []jobs.Record {
	t.Helper()
	found, err := o.client().JobHistory(t.Context(), jobs.Filter{Job: "tick", Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
