package host

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/onehost/edge/core/config"
)

// Plan is the plugins of another configuration, not in use yet.
type Plan struct {
	host *Host
	next map[string]config.Plugin
}

// Plan plans the plugins of a configuration. Nothing is started for it: whether a plugin can be is found out when the plan is in use, so that one plugin that is not well does not
// keep all else of a configuration from being taken into use.
func (h *Host) Plan(c *config.Config) (*Plan, error) {
	return &Plan{host: h, next: maps.Clone(c.Plugins)}, nil
}

// Commit takes the plan into use, and does not wait for it. A plugin that did not change keeps its process. One that did is swapped as in [Host.Reload]; while the new one is not well,
// the old one goes on, and [Host.Status] says why. One that is gone ends what is under way, and then its process.
func (p *Plan) Commit() {
	h := p.host
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, u := range h.plugins {
		if _, stays := p.next[name]; !stays {
			delete(h.plugins, name)
			u.cancel()
		}
	}
	for name, spec := range p.next {
		if u := h.plugins[name]; u != nil {
			u.change(spec)
			continue
		}
		u := newUnit(h, name, spec)
		h.plugins[name] = u
		h.launch(u)
	}
}

// Abandon gives the plan up. Nothing was started for it.
func (*Plan) Abandon() {}

// Check looks at what plugins need of this machine. A program or a user that is not there is a warning only: it may be about to be made, and one plugin that is missing is no
// reason to refuse to serve all else; deliveries wait until it is there.
func Check(c *config.Config) []config.Problem {
	var problems []config.Problem
	for _, name := range slices.Sorted(maps.Keys(c.Plugins)) {
		p, at := c.Plugins[name], []any{"plugins", name}
		problems = append(problems, checkProgram(c, p.Command, append(slices.Clone(at), "command"))...)
		if p.User != "" {
			if _, err := lookUp(p.User); err != nil {
				place := append(slices.Clone(at), "user")
				problems = append(problems, c.Warning(fmt.Sprintf("%v: make it, or the plugin can't be started", err), place...))
			}
		}
		for _, key := range slices.Sorted(maps.Keys(p.Env)) {
			if reserved(key) {
				problems = append(problems, c.Problem(key+" is one of those that edge itself starts a plugin with", append(slices.Clone(at), "env", key)...))
			}
		}
	}
	return problems
}

func checkProgram(c *config.Config, command string, at []any) []config.Problem {
	info, err := os.Stat(command)
	switch {
	case err != nil:
		return []config.Problem{c.Warning(fmt.Sprintf("the program %s can't be read (%v): build it, or deliveries wait", c.Show(command, at...), unwrapped(err)), at...)}
	case !info.Mode().IsRegular():
		return []config.Problem{c.Problem(fmt.Sprintf("%s is not a file: a plugin's command is a program", c.Show(command, at...)), at...)}
	case info.Mode()&0o111 == 0:
		return []config.Problem{c.Problem(fmt.Sprintf("%s is not executable: chmod +x it", c.Show(command, at...)), at...)}
	}
	return nil
}

// reserved reports whether a variable is one that go-plugin gives a plugin.
func reserved(key string) bool { return strings.HasPrefix(key, "PLUGIN_") || key == cookieKey }

// unwrapped is an error of a file without the file's name.
func unwrapped(err error) error {
	if p, ok := err.(*os.PathError); ok { //nolint:errorlint // as the os package returns it
		return p.Err
	}
	return err
}
