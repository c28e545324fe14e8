package lambda

import (
	"maps"
	"sync"
	"time"
)

// Status is how a function does.
type Status struct {
	Name         string          `json:"name"`
	Kind         string          `json:"kind"`        // arn or command
	Target       string          `json:"target"`      // the ARN, or the program
	Concurrency  int             `json:"concurrency"` // invocations at once, at most
	InFlight     int             `json:"in_flight"`   // invocations under way
	Waiting      int             `json:"waiting"`     // invocations that wait for one of them to end
	Processes    int             `json:"processes"`   // of a function of this host
	Invocations  uint64          `json:"invocations"` // that ended, well or not
	Errors       map[Kind]uint64 `json:"errors"`
	LastError    string          `json:"last_error,omitempty"`   // what a person needs to know; "" if there was none
	LastErrorAt  time.Time       `json:"last_error_at,omitzero"` // zero if there was none
	NeedsPerson  bool            `json:"needs_person"`           // the last invocation failed since it is missing, broken, or denied to edge
	LastDuration time.Duration   `json:"last_duration_ns"`
}

// counts are what happened to the invocations of a function, over all reloads.
type counts struct {
	mu          sync.Mutex
	invocations uint64
	errors      map[Kind]uint64
	last        *Error
	lastAt      time.Time
	needsPerson bool
	duration    time.Duration
}

func (c *counts) note(out outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.invocations++
	c.duration = out.result.Duration
	c.needsPerson = out.err != nil && (out.err.Kind == Missing || out.err.Kind == Denied || out.err.Kind == Broken)
	if out.err == nil {
		return
	}
	c.errors[out.err.Kind]++
	c.last, c.lastAt = out.err, time.Now()
}

// Failed is how many invocations failed, for whatever reason.
func (s Status) Failed() (n uint64) {
	for _, count := range s.Errors {
		n += count
	}
	return n
}

func (fn *function) status() Status {
	s := Status{Name: fn.name, Kind: "arn", Target: fn.cfg.ARN, Concurrency: fn.cfg.Concurrency, InFlight: fn.gate.inside(), Waiting: fn.gate.waiting()}
	if fn.cfg.Local() {
		s.Kind, s.Target, s.Processes = "command", fn.cfg.Command, fn.process.Processes()
	}
	c := fn.counts
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Invocations, s.LastDuration, s.LastErrorAt, s.NeedsPerson, s.Errors = c.invocations, c.duration, c.lastAt, c.needsPerson, maps.Clone(c.errors)
	if c.last != nil {
		s.LastError = c.last.Error()
	}
	return s
}
