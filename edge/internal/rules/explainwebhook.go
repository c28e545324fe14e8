package rules

import (
	"strconv"

	"github.com/onehost/edge/core/config"
)

// describeWebhook says which source's deliveries a path takes, as the module finds it: the last segment is its name.
func (e *Explanation) describeWebhook(sources map[string]config.Webhook, path string) {
	_, name := cutLast(path)
	source, ok := sources[name]
	switch {
	case !ok:
		e.Action = "respond 404: there is no source of that name"
		return
	case e.Method != "POST":
		e.Action = "webhooks " + name + ": only what its provider asks when it looks whether this address is yours; a delivery is a POST"
		return
	}
	e.Action = "webhooks " + name + ", verified as " + scheme(source.Verify) + ", kept"
	switch {
	case source.Plugin == "":
	case source.Sync != nil:
		e.Action += ", answered by plugin " + source.Plugin + " within " + source.Sync.Timeout.String()
	default:
		e.Action += " and handled by plugin " + source.Plugin
	}
	e.Webhook = name
	e.Limits.Webhook = &Limits{Body: int64(source.Body)}
}

func scheme(v config.Verify) string {
	if v.HMAC != nil {
		return "hmac-" + v.HMAC.Algorithm + " in " + strconv.Quote(v.HMAC.Header)
	}
	return v.Scheme
}
