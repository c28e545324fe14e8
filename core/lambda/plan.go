package lambda

import (
	"fmt"
	"os"
	"reflect"

	"github.com/onehost/edge/core/config"
)

// Plan is the functions of another configuration, not in use yet.
type Plan struct {
	f    *Functions
	next map[string]*function
}

// Plan makes the functions of a configuration. Those that did not change are kept as they are, with their processes. Nothing is started, and no network is needed.
func (f *Functions) Plan(c *config.Config) (*Plan, error) {
	p := &Plan{f: f, next: make(map[string]*function, len(c.Functions))}
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, cfg := range c.Functions {
		old := f.byName[name]
		if old != nil && reflect.DeepEqual(old.cfg, cfg) {
			p.next[name] = old
			continue
		}
		fn, err := f.newFunction(name, cfg)
		if err != nil {
			return nil, fmt.Errorf("function %s: %w", name, err)
		}
		if old != nil {
			fn.counts = old.counts
		}
		p.next[name] = fn
	}
	return p, nil
}

// Commit takes the plan into use. Functions that changed or are gone end what is under way, and then their processes.
func (p *Plan) Commit() {
	p.f.mu.Lock()
	old := p.f.byName
	p.f.byName = p.next
	p.f.mu.Unlock()
	for name, fn := range old {
		if p.next[name] != fn {
			fn.retire()
		}
	}
}

// Abandon gives the plan up. Nothing was started for it.
func (*Plan) Abandon() {}

// Check looks at the programs of functions of this host. One that is not there is a warning only: it may be about to be built, and one function that is missing is no
// reason to refuse to serve all else; its invocations fail until it is there.
func Check(c *config.Config) []config.Problem {
	var problems []config.Problem
	for name, fn := range c.Functions {
		if !fn.Local() {
			continue
		}
		at := []any{"functions", name, "command"}
		info, err := os.Stat(fn.Command)
		switch {
		case err != nil:
			problems = append(problems, c.Warning(fmt.Sprintf("the program %s can't be read (%v): build it, or invocations of %s fail", c.Show(fn.Command, at...), unwrapped(err), name), at...))
		case !info.Mode().IsRegular():
			problems = append(problems, c.Problem(fmt.Sprintf("%s is not a file: a function's command is a program", c.Show(fn.Command, at...)), at...))
		case info.Mode()&0o111 == 0:
			problems = append(problems, c.Problem(fmt.Sprintf("%s is not executable: chmod +x it", c.Show(fn.Command, at...)), at...))
		}
	}
	return problems
}
