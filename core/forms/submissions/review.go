package submissions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

const (
	defaultLimit = 100
	maxLimit     = 500
	listBytes    = 4 << 20 // of names and texts that are listed at once, or of one submission if it has more
	listAtOnce   = 8       // that are asked for at once
	maxForms     = 1000    // that Counts counts
	judgements   = 5       // tries at one that others disturb
)

// markedSpam is the reason of what a person took for spam.
const markedSpam = "marked as spam by hand"

var states = [...]State{Pending, Done, Dead, Spam}

// Filter says which submissions are wanted; its zero value is all.
type Filter struct {
	Form  string
	State State
	Since time.Time // taken then or later
	After string    // the ID of the last one of the page before
	Limit int       // 0: 100; at most 500. There may be fewer on a page where much was sent; an empty one is the last
}

// List returns submissions without their events, the newest first (by ID).
func (s *Submissions) List(ctx context.Context, f Filter) ([]Submission, error) {
	if f.State != "" && !slices.Contains(states[:], f.State) {
		return nil, fmt.Errorf("%q is no state: use pending, done, dead or spam: %w", f.State, fault.Invalid)
	}
	if f.Limit < 0 || f.Limit > maxLimit {
		return nil, fmt.Errorf("a limit of %d: 1 to %d are listed at once: %w", f.Limit, maxLimit, fault.Invalid)
	}
	if f.Limit == 0 {
		f.Limit = defaultLimit
	}
	if err := s.ensure(ctx); err != nil {
		return nil, fmt.Errorf("listing submissions: %w", err)
	}
	asked := []State{f.State}
	if f.Form != "" && f.State == "" {
		asked = states[:] // each has an index
	}
	var all []Submission
	last := "" // the last that has all others of the page before it
	for _, f.State = range asked {
		found, whole, err := s.page(ctx, f)
		if err != nil {
			return nil, fmt.Errorf("listing submissions: %w", err)
		}
		if all = append(all, found...); !whole {
			last = max(last, found[len(found)-1].ID)
		}
	}
	slices.SortFunc(all, func(a, b Submission) int { return strings.Compare(b.ID, a.ID) })
	all = slices.CompactFunc(all, func(a, b Submission) bool { return a.ID == b.ID }) // it may have become another state's meanwhile
	size, n := 0, 0
	for ; n < min(len(all), f.Limit) && all[n].ID >= last; n++ {
		if size += all[n].size(); size > listBytes && n > 0 {
			break
		}
	}
	return all[:n], nil
}

// page returns the submissions of one state that are before others, as far as they fit; whole reports whether they all did.
func (s *Submissions) page(ctx context.Context, f Filter) (page []Submission, whole bool, err error) {
	size, limit := 0, f.Limit
	for len(page) < limit && size < listBytes {
		f.Limit = min(listAtOnce, limit-len(page))
		found, err := s.store.Find(ctx, f.query())
		if err != nil {
			return nil, false, err
		}
		for _, d := range found {
			page = append(page, decode(d))
			size += page[len(page)-1].size()
		}
		if len(found) < f.Limit {
			return page, true, nil
		}
		f.After = page[len(page)-1].ID
	}
	return page, len(page) == limit, nil
}

// size is how many bytes of text the visitor has sent.
func (sub *Submission) size() (n int) {
	for _, f := range sub.Fields {
		n += len(f.Name) + len(f.Value)
	}
	for _, f := range sub.Files {
		n += len(f.Field) + len(f.Name)
	}
	return n
}

// listed are the fields of a document but the event.
var listed = []string{
	"form", "function", "at", "state", "reasons", "fields", "files", "client", "page", "request", "key", "digest", "attempts", "next", "ended", "error",
}

func (f Filter) query() store.Query {
	var all store.And
	if f.Form != "" {
		all = append(all, store.Eq("form", f.Form))
	}
	if f.State != "" {
		all = append(all, store.Eq("state", string(f.State)))
	}
	if !f.Since.IsZero() {
		all = append(all, store.Gte("at", f.Since))
	}
	if f.After != "" {
		all = append(all, store.Lt("id", f.After))
	}
	return store.Query{Collection: collection, Filter: all, Sort: []store.Order{{Field: "id", Descending: true}}, Limit: f.Limit, Fields: listed}
}

// Get returns a submission with its event, or not_found.
func (s *Submissions) Get(ctx context.Context, id string) (Submission, error) {
	d, err := s.get(ctx, id)
	return decode(d), err
}

func (s *Submissions) get(ctx context.Context, id string) (store.Document, error) {
	err := s.ensure(ctx)
	var d store.Document
	if err == nil {
		d, err = s.store.Get(ctx, collection, id)
	}
	if err != nil {
		return nil, fmt.Errorf("the submission %.100q: %w", id, err)
	}
	return d, nil
}

// Spam keeps aside what is pending, done or dead. It is a conflict when it is spam already, or is being delivered.
func (s *Submissions) Spam(ctx context.Context, id string) error {
	return s.judge(ctx, id, func(sub Submission) (store.Change, error) {
		if sub.State == Spam {
			return store.Change{}, errors.New("it is spam already")
		}
		reasons := []any{}
		for _, reason := range sub.Reasons {
			reasons = append(reasons, reason)
		}
		change := ended(Spam, s.settings.Load().retention(sub.Form))
		change.Set["reasons"] = append(reasons, markedSpam)
		return change, nil
	})
}

// Ham says that what was kept aside is no spam: it is delivered now. It is a conflict when it is not spam. Why it was taken for spam stays noted.
func (s *Submissions) Ham(ctx context.Context, id string) error {
	return s.judge(ctx, id, func(sub Submission) (store.Change, error) {
		if sub.State != Spam {
			return store.Change{}, fmt.Errorf("it is %s, not spam", sub.State)
		}
		return s.afresh(sub), nil
	})
}

// Resend delivers what is done or dead once more, and what waits for a later attempt now, with a schedule that begins anew. It is a conflict when it is
// spam, or is being delivered.
func (s *Submissions) Resend(ctx context.Context, id string) error {
	return s.judge(ctx, id, func(sub Submission) (store.Change, error) {
		if sub.State == Spam {
			return store.Change{}, errors.New("it is spam: say first that it is not (ham)")
		}
		change := s.afresh(sub)
		if change.Set["state"] == string(Done) {
			return store.Change{}, fmt.Errorf("the form %s has no function that would get it", sub.Form)
		}
		return change, nil
	})
}

// afresh is what makes a submission pending, or done if nobody is to get it.
func (s *Submissions) afresh(sub Submission) store.Change {
	configured := s.settings.Load()
	function := sub.Function
	if _, ok := configured.forms[sub.Form]; ok {
		function = configured.forms[sub.Form].Function
	}
	if function == "" {
		return ended(Done, configured.retention(sub.Form))
	}
	return store.Change{
		Set:   store.Document{"state": string(Pending), "function": function, "next": store.Now(-headStart)},
		Unset: []string{"ended", "expires", "error", "since", "tries", "claimed"},
	}
}

// judge changes a submission as a person wants it, if nobody else does so or delivers it at the moment.
func (s *Submissions) judge(ctx context.Context, id string, change func(Submission) (store.Change, error)) error {
	for range judgements {
		d, err := s.get(ctx, id)
		if err != nil {
			return err
		}
		c, refusal := change(decode(d))
		if refusal != nil {
			return fmt.Errorf("the submission %s: %w: %w", id, refusal, fault.Conflict)
		}
		c.Add = map[string]int64{"turn": 1}
		free := store.Or{store.Null("claimed"), store.Lte("next", store.Now(0))}
		write := store.Update{Collection: collection, Filter: append(mine(id, d.Int("turn")), store.Eq("state", d.String("state")), free), Change: c, Must: 1}
		_, err = s.store.Apply(ctx, write)
		switch {
		case err == nil:
			if c.Set["state"] == string(Pending) {
				s.wake(d.String("form"), Pending)
			}
			return nil
		case !errors.Is(err, fault.Conflict):
			return fmt.Errorf("the submission %s: %w", id, err)
		case !d.Time("claimed").IsZero():
			return fmt.Errorf("the submission %s is being delivered at the moment, until %s at the latest: try again when that has ended: %w",
				id, d.Time("next").Format(time.RFC3339), fault.Conflict)
		}
	}
	return fmt.Errorf("the submission %s changes all the time: try again: %w", id, fault.Conflict)
}

// Count is how many submissions of a form there are.
type Count struct {
	Form    string    `json:"form"`
	Pending int       `json:"pending"`
	Done    int       `json:"done"`
	Dead    int       `json:"dead"`
	Spam    int       `json:"spam"`
	Oldest  time.Time `json:"oldest,omitzero"`  // when the oldest that is pending was taken
	Paused  bool      `json:"paused,omitempty"` // nothing is delivered: the form is not configured, or has no function
	Full    bool      `json:"full,omitempty"`   // it has as many as it may: no more are taken
}

// Counts counts the submissions of all forms that are configured or have any, by name, a thousand at most.
func (s *Submissions) Counts(ctx context.Context) ([]Count, error) {
	forms, err := s.forms(ctx)
	if err != nil {
		return nil, fmt.Errorf("counting submissions: %w", err)
	}
	configured := s.settings.Load()
	counts := make([]Count, 0, len(forms))
	for _, form := range forms {
		c := Count{Form: form}
		for state, n := range map[State]*int{Pending: &c.Pending, Done: &c.Done, Dead: &c.Dead, Spam: &c.Spam} {
			of := store.And{store.Eq("form", form), store.Eq("state", string(state))}
			if *n, err = s.store.Count(ctx, collection, of); err != nil {
				return nil, fmt.Errorf("counting submissions: %w", err)
			}
		}
		if c.Pending > 0 {
			oldest, err := s.store.Find(ctx, store.Query{
				Collection: collection, Filter: store.And{store.Eq("form", form), store.Eq("state", string(Pending))},
				Sort: []store.Order{{Field: "id"}}, Limit: 1, Fields: []string{"at"},
			})
			if err != nil {
				return nil, fmt.Errorf("counting submissions: %w", err)
			}
			if len(oldest) > 0 {
				c.Oldest = oldest[0].Time("at")
			}
		}
		_, _, delivered := configured.target(form)
		c.Paused = !delivered && (c.Pending > 0 || configured.forms[form].Function != "")
		most := configured.forms[form].MaxKept
		c.Full = most > 0 && c.Pending+c.Done+c.Dead+c.Spam >= most
		counts = append(counts, c)
	}
	return counts, nil
}

// forms are the names of all that are configured or have submissions, sorted. It leaps from one to the next in the index.
func (s *Submissions) forms(ctx context.Context) ([]string, error) {
	if err := s.ensure(ctx); err != nil {
		return nil, err
	}
	var all []string
	for form := range s.settings.Load().forms {
		all = append(all, form)
	}
	for last := ""; len(all) < maxForms; {
		found, err := s.store.Find(ctx, store.Query{
			Collection: collection, Filter: store.Gt("form", last), Sort: []store.Order{{Field: "form"}, {Field: "state"}, {Field: "next"}}, Limit: 1, Fields: []string{"form"},
		})
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			break
		}
		last = found[0].String("form")
		all = append(all, last)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}
