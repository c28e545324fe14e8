package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	lease    = 5 * time.Minute // of a run, when it has no deadline
	spare    = 5 * time.Second // after a deadline: clocks of hosts differ
	tries    = 20              // documents that are looked at for one that fits
	eventsOf = 20              // events that are remembered
	recentOf = 10              // documents, likewise
)

// Outcome is what a run answers.
type Outcome struct {
	Posted   string `json:"posted,omitempty"`   // the post's id at X
	Document string `json:"document,omitempty"` // which was posted, or would have been
	DryRun   bool   `json:"dry_run,omitempty"`
	Skipped  string `json:"skipped,omitempty"` // why nothing was done
}

// progress is what is remembered between runs.
type progress struct {
	Recent []string // the document that was posted last, and those after it of which that is not known
	Events []string // the last that are done with
}

// run posts one document.
func (f *function) run(ctx context.Context, event string) (Outcome, error) {
	owner, until := rand.Text(), f.now().Add(lease)
	if deadline, ok := ctx.Deadline(); ok {
		until = deadline.Add(spare)
	}
	before, mine, err := f.texts.begin(ctx, owner, f.now(), until)
	switch {
	case err != nil:
		return Outcome{}, err
	case !mine:
		return Outcome{Skipped: "another run is under way"}, nil
	}
	outcome, after, err := f.post(ctx, owner, event, before)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if failed := f.texts.end(end, owner, after); failed != nil {
		err = errors.Join(err, failed)
	}
	return outcome, err
}

// post returns what is to be remembered, too.
func (f *function) post(ctx context.Context, owner, event string, before progress) (Outcome, progress, error) {
	if event != "" && slices.Contains(before.Events, event) {
		return Outcome{Skipped: "this event is done with"}, before, nil
	}
	id, text, err := f.choose(ctx, before)
	if err != nil {
		return Outcome{}, before, err
	}
	after := progress{Recent: []string{id}, Events: remember(before.Events, event)}
	if f.x == nil {
		f.log.Info("a dry run: this would be posted", "document", id, "text", text)
		return Outcome{Document: id, DryRun: true}, after, nil
	}
	unknown := progress{Recent: withLast(before.Recent, id), Events: after.Events}
	if err := f.texts.save(ctx, owner, unknown); err != nil { // in case this process dies before it knows
		return Outcome{}, before, err
	}
	posted, err := f.x.post(ctx, text, f.now())
	switch {
	case err == nil:
		f.log.Info("posted", "document", id, "post", posted)
		return Outcome{Posted: posted, Document: id}, after, nil
	case isDuplicate(err) && slices.Contains(before.Recent, id): // so it was posted by the run that did not learn it
		return Outcome{Document: id}, after, err
	case isDuplicate(err): // from long ago, or by hand; the event may have another document
		return Outcome{Document: id}, progress{Recent: unknown.Recent, Events: before.Events}, err
	case isUnknown(err):
		return Outcome{Document: id}, unknown, err
	}
	return Outcome{Document: id}, before, err
}

// choose returns a random document that was not the last, and can be posted.
func (f *function) choose(ctx context.Context, before progress) (id, text string, err error) {
	not := before.Recent
	var tooLong []string
	for range tries {
		id, text, err = f.texts.random(ctx, append(slices.Clone(not), tooLong...))
		if errors.Is(err, errNone) && len(not) > 1 {
			// All others may have been the last. If X has the latest of them, it refuses it as a duplicate, and then that is known.
			not = not[:len(not)-1]
			continue
		}
		if err != nil {
			return "", "", fmt.Errorf("choosing a document: %w", err)
		}
		if length := weight(text); length == 0 || length > maxWeight {
			f.log.Warn("a document can't be posted: X takes 1 to 280 characters, of which a URL has 23 and most of CJK two each", "document", id, "length", length)
			tooLong = append(tooLong, id)
			continue
		}
		return id, text, nil
	}
	return "", "", fmt.Errorf("choosing a document: %d of them can't be posted: %w", len(tooLong), errNone)
}

func remember(events []string, event string) []string {
	if event == "" {
		return events
	}
	events = append(slices.Clone(events), event)
	return events[max(0, len(events)-eventsOf):]
}

// withLast has the first stay first: it is the only one that is known to have been posted.
func withLast(recent []string, id string) []string {
	if slices.Contains(recent, id) {
		return recent
	}
	recent = append(slices.Clone(recent), id)
	if len(recent) > recentOf {
		recent = slices.Delete(recent, 1, 2)
	}
	return recent
}
