package jobs

import (
	"strings"
	"time"

	"github.com/onehost/edge/core/store"
)

// State is how far a run has come.
type State string

// States of a run.
const (
	Waiting  State = "waiting"  // for the run before it to end
	Running  State = "running"  // on a host
	Retrying State = "retrying" // for its next attempt
	Ended    State = "ended"    // Outcome says how
)

// Outcome is what a run has come to.
type Outcome string

// Outcomes.
const (
	Succeeded Outcome = "succeeded"
	Failed    Outcome = "failed"   // and the job has no retries
	Dead      Outcome = "dead"     // and there are no more retries, or it could not have helped to try again
	Skipped   Outcome = "skipped"  // the run before had not ended, or the job was removed
	Missed    Outcome = "missed"   // nobody could run it when it was due, and nobody makes up for it
	Replaced  Outcome = "replaced" // the next one has taken its place
	Lost      Outcome = "lost"     // the hosts that it ran on have died again and again
)

// Record is what is known of a run.
type Record struct {
	ID        string    `json:"id"`
	Job       string    `json:"job"`
	Due       time.Time `json:"due"` // of a manual run: when it was asked for
	Trigger   Trigger   `json:"trigger"`
	State     State     `json:"state"`
	Outcome   Outcome   `json:"outcome,omitempty"`
	Started   time.Time `json:"started,omitzero"` // of the latest attempt
	Ended     time.Time `json:"ended,omitzero"`
	Attempt   int       `json:"attempt,omitempty"` // how many there were
	Host      string    `json:"host,omitempty"`    // of the latest attempt
	Error     string    `json:"error,omitempty"`
	Output    string    `json:"output,omitempty"` // the end of what the latest attempt has said
	RequestID string    `json:"request_id,omitempty"`
	Missed    int       `json:"missed,omitempty"` // how many due times this record stands for that were missed
}

const (
	jobsCollection = "jobs"
	runsCollection = "runs"

	maxOutput = 4 << 10 // bytes
	maxError  = 1 << 10 // bytes
)

// Collections describes where jobs and runs are kept, for [store.Store.Ensure]. A job's document, whose id is its name, has
//
//   - since: when it was first seen; schedule: what its due times come from; through: up to which due time it has been scheduled;
//   - until: when it has to be looked at: when its run's holder has not renewed it, when its next attempt is due, or at once, when runs wait. It is null when the job is free;
//   - run, and while that is at work taking, host and started; stop: that the run is to be stopped; waiting: how many wait; manual: that one of them was asked for by a person;
//   - paused: since when; resumed: when it was the last time;
//   - success, failures, missed, last: what status says;
//   - expires: of a job that is no longer configured.
//
// A run's document has what its [Record] has, tries, losses and down (since when it could not be begun), the taking under which it is held, and expires. The ids that
// begin with a star are hosts', which ask for the time with them.
func Collections() []store.Collection {
	return []store.Collection{
		{Name: jobsCollection, Indexes: []store.Index{{Fields: []string{"until"}}, {Fields: []string{"taking"}}}, Expire: "expires", Private: true},
		{
			Name: runsCollection, Expire: "expires", Private: true,
			Indexes: []store.Index{{Fields: []string{"job", "state", "due"}}, {Fields: []string{"job", "due"}}, {Fields: []string{"due"}}},
		},
	}
}

// runID is the id of the run of a due time: no other can have it.
func runID(job string, due time.Time) string { return job + "@" + due.UTC().Format(time.RFC3339Nano) }

// encode makes the document of a run that is new.
func (r Record) encode() store.Document {
	d := store.Document{"id": r.ID, "job": r.Job, "due": r.Due, "trigger": string(r.Trigger), "state": string(r.State), "attempt": int64(r.Attempt)}
	for name, text := range map[string]string{"outcome": string(r.Outcome), "host": r.Host, "error": r.Error, "request": r.RequestID} {
		if text != "" {
			d[name] = text
		}
	}
	for name, at := range map[string]time.Time{"started": r.Started, "ended": r.Ended} {
		if !at.IsZero() {
			d[name] = at
		}
	}
	if r.Missed > 0 {
		d["missed"] = int64(r.Missed)
	}
	return d
}

// decode reads a document. What is not there, or is something else, is left out.
func decode(d store.Document) Record {
	return Record{
		ID: d.ID(), Job: d.String("job"), Due: d.Time("due"), Trigger: Trigger(d.String("trigger")), State: State(d.String("state")), Outcome: Outcome(d.String("outcome")),
		Started: d.Time("started"), Ended: d.Time("ended"), Attempt: int(d.Int("attempt")), Host: d.String("host"), Error: d.String("error"),
		Output: d.String("output"), RequestID: d.String("request"), Missed: int(d.Int("missed")),
	}
}

// ended is a record of a run that never began.
func (j *Jobs) ended(b *job, due time.Time, why Outcome, reason string) (Record, store.Document) {
	r := Record{ID: runID(b.name, due), Job: b.name, Due: due, Trigger: Scheduled, State: Ended, Outcome: why, Ended: j.clock.now(), Error: reason}
	d := r.encode()
	d["expires"] = r.Ended.Add(b.Retention)
	return r, d
}

// tail is the end of what a run has said, as it can be kept.
func tail(text string) string {
	if len(text) > maxOutput {
		text = text[len(text)-maxOutput:]
		for len(text) > 0 && text[0]&0xC0 == 0x80 { // not the middle of a character
			text = text[1:]
		}
	}
	return valid(text)
}

// clip makes a text one that fits into a log and a store.
func clip(text string) string {
	if len(text) > maxError {
		text = text[:maxError]
	}
	return valid(text)
}

func valid(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
