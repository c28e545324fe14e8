package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/onehost/edge/core/jobs"
	"github.com/onehost/edge/edge/internal/admin"
)

const jobHosts = `
functions:
  record: {command: RECORDER, env: {RECORD: "RECORD"}, timeout: 2s}
plugins:
  witness: {command: WITNESS, env: {RECORD: "PLUGGED"}}
jobs:
  sweep: {schedule: "@every 1s", http: {url: "http://WATCHER/sweep", headers: {X-Key: s3cret}}, ping: "http://WATCHER/ping"}
  tweet: {schedule: "@yearly", function: record, input: '{"dry": true}'}
  digest: {schedule: "@yearly", plugin: witness}
  unknown: {schedule: "@yearly", plugin: witness, retries: 2}
  broken: {schedule: "@yearly", command: /bin/false}
hosts:
  a.test: {default: {respond: {}}}
`

// A watcher notes what it was asked for.
type watcher struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func overseer(t *testing.T) *watcher {
	t.Helper()
	w := &watcher{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked = append(w.asked, r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Key"))
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *watcher) heard(what string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.asked, what)
}

func serveJobs(t *testing.T) (*recorded, *watcher) {
	t.Helper()
	binary, err := witness()
	if err != nil {
		t.Fatal(err)
	}
	w := overseer(t)
	s := serveForms(t, jobHosts, "WITNESS", binary, `"PLUGGED"`, strconv.Quote(filepath.Join(t.TempDir(), "plugged")), "WATCHER", strings.TrimPrefix(w.URL, "http://"))
	(&witnessed{running: s.running}).awaitPlugin(t, 0)
	return s, w
}

func (r *recorded) history(t *testing.T, job string) (found []jobs.Record) {
	t.Helper()
	text := r.edge(t, "jobs", "history", job, "--json")
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return found
}

func TestAJobRunsWhenItIsDue(t *testing.T) {
	s, w := serveJobs(t)
	await(t, "it has run", func() bool { return w.heard("POST /sweep s3cret") })
	await(t, "its watcher is told", func() bool { return w.heard("POST /ping/start ") && w.heard("POST /ping ") })
	await(t, "its record", func() bool {
		return slices.ContainsFunc(s.history(t, "sweep"), func(r jobs.Record) bool {
			return r.Outcome == jobs.Succeeded && r.Trigger == jobs.Scheduled && r.Attempt == 1 && r.Due.UnixMilli()%1000 == 0 && r.Host != ""
		})
	})
	s.edge(t, "jobs", "pause", "sweep")
	if said := s.edge(t, "jobs"); !strings.Contains(said, "paused") {
		t.Error(said)
	}
	s.edge(t, "jobs", "resume", "sweep")
	if metrics := s.scrape(t); !strings.Contains(metrics, `edge_job_last_success_seconds{job="sweep"} 1.`) || !strings.Contains(metrics, `edge_job_missed_total{job="tweet"} 0`) {
		t.Error("no jobs in the metrics")
	}
}

func TestAJobIsRunByHand(t *testing.T) {
	s, _ := serveJobs(t)
	for _, test := range []struct {
		job     string
		outcome jobs.Outcome
		says    string
	}{
		{"tweet", jobs.Succeeded, ""}, {"broken", jobs.Failed, "exit status 1"}, {"unknown", jobs.Dead, `has no job "unknown"`},
	} {
		s.edge(t, "jobs", "run", test.job)
		await(t, test.job+" has ended", func() bool { found := s.history(t, test.job); return len(found) == 1 && found[0].State == jobs.Ended })
		if got := s.history(t, test.job)[0]; got.Outcome != test.outcome || got.Trigger != jobs.Manual || !strings.Contains(got.Error, test.says) {
			t.Errorf("%+v", got)
		}
	}
	if events := s.events(t); len(events) != 1 {
		t.Errorf("%d invocations", len(events))
	}
	if status := s.edge(t, "status"); !strings.Contains(status, "job unknown: its last run is dead") {
		t.Error(status)
	}
	if code, _, errOut := command(t, "jobs", "run", "nothing", "--admin="+s.admin.Addr().String()); code != exitFailed || !strings.Contains(errOut, `there is no job "nothing"`) {
		t.Errorf("%d %s", code, errOut)
	}
}

func TestNextTimesAreSaidOffline(t *testing.T) {
	file := writeIn(t, t.TempDir(), "edge.yaml", `
jobs: {digest: {schedule: "30 2 * * *", timezone: Europe/Madrid, http: {url: "http://127.0.0.1/"}}}
tls: {issuers: [local]}
hosts: {localhost: {default: {respond: {}}}}
`)
	code, out, errOut := command(t, "jobs", "next", "digest", "--from", "2027-03-27T00:00:00Z", "-n", "3", "--json", "-c", file)
	var times []string
	if err := json.Unmarshal([]byte(out), &times); err != nil || code != exitDone || !slices.Equal(times, []string{"2027-03-27T01:30:00Z", "2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"}) {
		t.Errorf("%d %s %s", code, out, errOut)
	}
	if code, out, errOut := command(t, "check", "-c", file); code != exitDone || !strings.Contains(out+errOut, "2027-03-28") {
		t.Errorf("no word about the hour that is missing: %d %s%s", code, out, errOut)
	}
}

func TestAProgramThatAJobLacksIsFoundByCheck(t *testing.T) {
	file := writeIn(t, t.TempDir(), "edge.yaml", `
jobs: {sweep: {schedule: "@weekly", command: ./sweep}}
tls: {issuers: [local]}
hosts: {localhost: {default: {respond: {}}}}
`)
	if code, out, errOut := command(t, "check", "-c", file); code != exitDone || !strings.Contains(out+errOut, "build it, or runs of sweep fail") {
		t.Errorf("%d %s%s", code, out, errOut)
	}
}

func TestWhatHasNotEndedIsSaidInTheTables(t *testing.T) {
	for _, test := range []struct {
		status admin.Job
		want   string
	}{
		{admin.Job{Status: jobs.Status{Run: &jobs.Record{State: jobs.Running, Host: "b"}}}, "running on b"},
		{admin.Job{Status: jobs.Status{Run: &jobs.Record{State: jobs.Retrying}, Failures: 3}}, "waits for its next attempt"},
		{admin.Job{Status: jobs.Status{Failures: 1}}, "failed"},
		{admin.Job{Status: jobs.Status{Failures: 2}}, "failed 2 times in a row"},
		{admin.Job{}, "ready"},
	} {
		if got := jobState(test.status).text; got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
	for want, r := range map[string]jobs.Record{"waiting": {State: jobs.Waiting}, "running": {State: jobs.Running}, "dead": {State: jobs.Ended, Outcome: jobs.Dead}} {
		if got := cameOf(r).text; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
