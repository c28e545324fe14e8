package config

import (
	"strings"
	"time"
)

const (
	maxDelivery    = 10 << 20 // bytes: it is kept with its fields, and a document has 15 MiB
	maxSyncTimeout = 15 * time.Second
	maxHandling    = 15 * time.Minute
	maxRetries     = 100
)

func (k *checker) webhooks() {
	for _, name := range k.webhookNames {
		k.webhook(k.Webhooks[name], path{"webhooks", name})
	}
}

func (k *checker) webhook(w Webhook, at path) {
	if w.Plugin != "" {
		k.refer("plugins", "plugin", w.Plugin, k.pluginNames, at.to("plugin"))
	} else {
		for _, key := range []string{"sync", "fifo", "retries", "timeout", "concurrency"} {
			if k.given(at.to(key)) && !k.bad(at.to("plugin")) {
				k.fail(at.to(key), "%s is about the plugin that handles deliveries, and the source has none", key)
			}
		}
	}
	if w.Timeout > maxHandling {
		k.fail(at.to("timeout"), "timeout is 15m at most")
	}
	if w.Sync != nil && w.Sync.Timeout > maxSyncTimeout {
		k.fail(at.to("sync", "timeout"), "timeout is 15s at most: no source waits for longer")
	}
	if w.Body == 0 || w.Body > maxDelivery {
		k.fail(at.to("body"), "a delivery has 10MiB at most, and is never without bound: it is kept")
	}
	if len(w.Retries) > maxRetries {
		k.fail(at.to("retries"), "there are %d retries at most", maxRetries)
	}
	if f := w.FIFO; f != "" && f != "*" && strings.TrimPrefix(f, "header:") == "" {
		k.fail(at.to("fifo"), "header: needs the name of a field")
	}
	k.verify(w, at)
}

// verify finds what the way of verifying lacks, or has too much of.
func (k *checker) verify(w Webhook, at path) {
	v := w.Verify
	if !k.given(at.to("verify")) || k.bad(at.to("verify")) || k.bad(at.to("verify", "scheme")) || k.bad(at.to("verify", "hmac")) {
		return
	}
	if (v.Scheme == "") == (v.HMAC == nil) {
		k.fail(at.to("verify"), "verify is a provider such as github, or {hmac: …}")
		return
	}
	if v.Header != "" && v.Scheme != "bearer" {
		k.fail(at.to("verify", "header"), "header belongs to bearer")
	}
	for _, key := range []string{"id", "type"} {
		if k.given(at.to("verify", key)) && !v.Anonymous() {
			k.fail(at.to("verify", key), "%s belongs to bearer, basic and none; a provider says it in its own way, and hmac has one of its own", key)
		}
	}
	k.verifySecrets(w, at)
	if v.Scheme == "sns" && len(w.Topics) == 0 && !k.bad(at.to("topics")) {
		k.fail(at, "sns needs topics: what AWS signs says only that it came from a topic, and anybody could have one")
	}
	for key, scheme := range map[string]string{"topics": "sns", "url": "twilio"} {
		if k.given(at.to(key)) && v.Scheme != scheme && !(key == "url" && v.HMAC != nil) {
			k.fail(at.to(key), "%s belongs to %s", key, scheme)
		}
	}
	if h := v.HMAC; h != nil && strings.Contains(h.Signed, "{timestamp}") != (h.Timestamp != "") {
		k.fail(at.to("verify", "hmac", "signed"), "{timestamp} in signed and the field timestamp go together")
	}
}

func (k *checker) verifySecrets(w Webhook, at path) {
	one, two := k.given(at.to("secret")), k.given(at.to("secrets"))
	needless := w.Verify.Scheme == "none" || w.Verify.Scheme == "sns"
	switch {
	case k.bad(at.to("secret")) || k.bad(at.to("secrets")):
	case needless && (one || two):
		k.fail(at, "a source with verify: %s has no secret", w.Verify.Scheme)
	case needless:
	case one && two:
		k.fail(at.to("secrets"), "a source has a secret, or while it is changed two secrets, and not both keys")
	case two && (len(w.Secrets) == 0 || len(w.Secrets) > 2):
		k.fail(at.to("secrets"), "there are one or two secrets")
	case !one && !two:
		k.fail(at, "a source needs the secret that its deliveries are verified with")
	}
}

func (k *checker) plugins() {
	for _, name := range k.pluginNames {
		p, at := k.Plugins[name], path{"plugins", name}
		if p.Watch && p.SHA256 != "" {
			k.fail(at.to("watch"), "a new build has another sha256, and would not be started")
		}
		if k.given(at.to("memory")) && p.Memory < 16<<20 {
			k.fail(at.to("memory"), "a process needs 16MiB at least")
		}
		k.mayUse(p.May, at.to("may"))
	}
}

// Anonymous reports whether nothing in a delivery is known to say which event it is, unless ID does.
func (v Verify) Anonymous() bool {
	return v.Scheme == "bearer" || v.Scheme == "basic" || v.Scheme == "none"
}

// Keys returns the secrets that a delivery of the source may be verified with.
func (w Webhook) Keys() []string {
	if w.Secret != "" {
		return []string{w.Secret}
	}
	return w.Secrets
}
