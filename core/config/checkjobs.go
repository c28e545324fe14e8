package config

import (
	"encoding/json"
	"time"
)

const maxRun = 24 * time.Hour

func (k *checker) jobs() {
	for _, name := range k.jobNames {
		k.job(k.Jobs[name], path{"jobs", name})
	}
}

func (k *checker) job(j Job, at path) {
	kinds := 0
	for _, key := range []string{"plugin", "function", "http", "command"} {
		if k.given(at.to(key)) {
			kinds++
		}
	}
	if kinds != 1 && !k.bad(at) {
		k.fail(at, "a job is run by exactly one of plugin, function, http and command")
	}
	if j.Plugin != "" {
		k.refer("plugins", "plugin", j.Plugin, k.pluginNames, at.to("plugin"))
	}
	if j.Function != "" {
		k.refer("functions", "function", j.Function, k.functionNames, at.to("function"))
	}
	for _, key := range []string{"args", "env"} {
		if k.given(at.to(key)) && !k.given(at.to("command")) {
			k.fail(at.to(key), "%s belongs to a command", key)
		}
	}
	switch {
	case j.Input != "" && j.Function == "":
		k.fail(at.to("input"), "input belongs to a function")
	case j.Input != "" && !json.Valid([]byte(j.Input)):
		k.fail(at.to("input"), "input is JSON, and this is none")
	}
	most := maxRun
	if j.Plugin != "" || j.Function != "" {
		most = maxHandling
	}
	if j.Timeout > most {
		k.fail(at.to("timeout"), "timeout is %s at most", most)
	}
	if k.given(at.to("missed_limit")) && j.Missed != "all" {
		k.fail(at.to("missed_limit"), "missed_limit belongs to missed: all")
	}
	if k.given(at.to("backoff")) && j.Retries == 0 {
		k.fail(at.to("backoff"), "backoff belongs to retries")
	}
}
