package config

import (
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// fillIn sets the defaults that depend on other settings or on where edge runs. All others are tags in config.go.
func (c *Config) fillIn(env Env) {
	if c.DataDir == "" {
		c.DataDir = absolute(filepath.Join(filepath.Dir(c.Files[0]), "data"))
		if state, _, _ := strings.Cut(env.StateDirectory, ":"); state != "" {
			c.DataDir = absolute(state)
		}
	}
	if c.Listen.Admin == "" {
		c.Listen.Admin = "unix:" + filepath.Join(c.DataDir, "admin.sock")
	}
	if c.Listen.PublicPort == 0 {
		c.Listen.PublicPort = portOf(c.Listen.HTTPS)
	}
	for name, group := range c.TargetGroups {
		if group.Health.Timeout == 0 {
			group.Health.Timeout = min(5*time.Second, group.Health.Interval)
		}
		c.TargetGroups[name] = group
	}
	for name, host := range c.Hosts {
		if host.Limits.Idle == 0 {
			host.Limits.Idle = time.Minute
		}
		host.Limits.fillIn()
		for i := range host.Rules {
			host.Rules[i].Limits.fillIn()
		}
		if host.Default != nil {
			host.Default.Limits.fillIn()
		}
		c.Hosts[name] = host
	}
}

// fillIn sets a burst to what the rate gives in one second, at least 1.
func (l *Limits) fillIn() {
	if l.Rate.N > 0 && l.Burst == 0 {
		l.Burst = max(1, l.Rate.N/int(l.Rate.Per/time.Second))
	}
}

// portOf returns the port of the first address, or https's own if there is no address.
func portOf(addresses []string) int {
	if len(addresses) > 0 {
		if _, port, err := net.SplitHostPort(addresses[0]); err == nil {
			if n, err := strconv.Atoi(port); err == nil {
				return n
			}
		}
	}
	return 443
}
