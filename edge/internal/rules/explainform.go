package rules

import (
	"strings"

	"github.com/onehost/edge/core/config"
)

// describeForm says which form a path leads to, as the module finds it: the last segment is its name, or token or thanks below it.
func (e *Explanation) describeForm(forms map[string]config.Form, path string) {
	before, last := cutLast(path)
	name, below := last, ""
	if last == "token" || last == "thanks" {
		if _, above := cutLast(before); hasForm(forms, above) {
			name, below = above, last
		}
	}
	form, ok := forms[name]
	switch {
	case !ok:
		e.Action = "respond 404: there is no form of that name"
		return
	case below != "":
		e.Action = "form " + name + ": its " + below + " page"
		if below == "token" {
			e.Action = "form " + name + ": a token of the page"
		}
		return
	case e.Method != "POST":
		e.Action = "respond 405: a form takes POST"
		return
	case form.Function == "":
		e.Action = "form " + name + ", which is kept"
	case form.Sync:
		e.Action = "form " + name + ", answered by function " + form.Function
	default:
		e.Action = "form " + name + ", kept and delivered to function " + form.Function
	}
	e.Form = name
	limits := limitsOf(form.Limits)
	e.Limits.Form = &limits
}

func hasForm(forms map[string]config.Form, name string) bool {
	_, ok := forms[name]
	return ok
}

func cutLast(path string) (before, last string) {
	slash := strings.LastIndexByte(path, '/')
	return path[:max(slash, 0)], path[slash+1:]
}
