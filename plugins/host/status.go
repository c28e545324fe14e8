package host

import "time"

// State is what a plugin does.
type State string

// States of a plugin.
const (
	Starting   State = "starting"   // for the first time, or after a change
	Running    State = "running"    // it has a process that is of service
	Restarting State = "restarting" // its process has ended or could not be started, and is started anew
	CrashLoop  State = "crash_loop" // the same, for the fifth time in a row, each within a minute: a matter for a person
	Stopped    State = "stopped"    // edge ends, or has not begun
)

// Status is how a plugin is.
type Status struct {
	Name     string    `json:"name"`
	State    State     `json:"state"`
	PID      int       `json:"pid,omitempty"`
	Since    time.Time `json:"since"` // of the state
	Restarts int       `json:"restarts"`
	RSS      int64     `json:"rss"` // bytes of resident memory, of the process and what it started; what they share counts for each
	InFlight int       `json:"in_flight"`
	Error    string    `json:"error,omitempty"` // the last one, until a minute of service later
	SDK      string    `json:"sdk,omitempty"`
	Jobs     []string  `json:"jobs,omitempty"`
	Webhooks bool      `json:"webhooks"`
}

// Status returns how the plugins are, by name.
func (h *Host) Status() []Status {
	used := resident()
	all := []Status{}
	for _, u := range h.units() {
		all = append(all, u.status(used))
	}
	return all
}

func (u *unit) status(used map[int]int64) Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	p := u.current.Load()
	s := Status{Name: u.name, State: u.state, Since: u.since, Restarts: u.restarts}
	if p != nil {
		s.PID, s.RSS, s.InFlight = p.group.pid(), used[p.group.pid()], p.inFlight()
		s.SDK, s.Jobs, s.Webhooks = p.said.GetSdk(), p.said.GetJobs(), p.said.GetWebhooks()
	}
	if u.last != nil && !(p != nil && time.Since(u.lastAt) >= u.host.times.stable) {
		s.Error = u.last.Error()
	}
	return s
}
