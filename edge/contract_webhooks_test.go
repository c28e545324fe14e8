package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/onehost/edge/core/webhooks/inbox"
	"github.com/onehost/edge/plugins/host"
)

// witness is a plugin that writes down what it was given.
var witness = builtOnce("./testdata/witness")

const webhookHosts = `
webhooks:
  github: {verify: github, secret: s3cret, plugin: witness, retries: [1h]}
  commands: {verify: {hmac: {header: X-Sig, id: "header:X-Id"}}, secret: s3cret, plugin: witness, sync: {timeout: 1s}}
  small: {verify: none, body: 16B, plugin: witness}
  only: {verify: {scheme: bearer, header: X-Key}, secret: s3cret}
  crc: {verify: x, secret: s3cret}
plugins:
  witness: {command: WITNESS, env: {RECORD: "RECORD"}, may: [mail]}
mail: {folder: "LETTERS", from: edge@example.com}
hosts:
  hooks.test: {default: {webhooks: true}}
`

// A witnessed is a server with sources of webhooks, and what its plugin was given.
type witnessed struct {
	*running
	file, letters string
}

func serveWebhooks(t *testing.T, body string, replace ...string) *witnessed {
	t.Helper()
	binary, err := witness()
	if err != nil {
		t.Fatal(err)
	}
	file, letters := filepath.Join(t.TempDir(), "record"), t.TempDir()
	replace = append([]string{"WITNESS", binary, `"RECORD"`, strconv.Quote(file), `"LETTERS"`, strconv.Quote(letters)}, replace...)
	w := &witnessed{serve(t, body, replace...), file, letters}
	w.awaitPlugin(t, 0)
	return w
}

// awaitPlugin waits until another process of the plugin than before is of service, and returns it.
func (w *witnessed) awaitPlugin(t *testing.T, before int) (pid int) {
	t.Helper()
	await(t, "the plugin runs", func() bool {
		for _, p := range w.Plugins() {
			if p.State == host.Running && p.PID != before {
				pid = p.PID
			}
		}
		return pid != 0
	})
	return pid
}

// given are the event ids of what the plugin was given so far.
func (w *witnessed) given(t *testing.T) []string { return linesOf(t, w.file) }

func linesOf(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

func keyed(body string) string {
	mac := hmac.New(sha256.New, []byte("s3cret"))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// push sends a delivery of GitHub's.
func (w *witnessed) push(t *testing.T, c *http.Client, id, body string) fetched {
	t.Helper()
	return fetch(t, c, "POST", "https://hooks.test/github", body, "Content-Type: application/json", "X-GitHub-Event: push", "X-GitHub-Delivery: "+id,
		"X-Hub-Signature-256: sha256="+keyed(body))
}

func (w *witnessed) edge(t *testing.T, args ...string) string {
	t.Helper()
	return (&recorded{running: w.running}).edge(t, args...)
}

func (w *witnessed) list(t *testing.T, source string, flags ...string) (found []inbox.Delivery) {
	t.Helper()
	text := w.edge(t, append([]string{"webhooks", "list", source, "--json"}, flags...)...)
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return found
}

func TestAWebhookReachesItsPluginOnce(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			w := serveWebhooks(t, webhookHosts)
			c := w.client(protocol)
			for range 3 {
				if got := w.push(t, c, "a-1", `{"ref":"main"}`); got.StatusCode != 200 {
					t.Fatalf("%d %s", got.StatusCode, got.text)
				}
			}
			if got := w.push(t, c, "a-2", `{"ref":"other"}`); got.StatusCode != 200 {
				t.Fatalf("%d %s", got.StatusCode, got.text)
			}
			await(t, "both are done", func() bool { return len(w.list(t, "github", "--state", "done")) == 2 })
			if got := w.given(t); len(got) != 2 || !slices.Contains(got, "a-1") || !slices.Contains(got, "a-2") {
				t.Errorf("%q", got)
			}
			d := w.list(t, "github")[1]
			var whole inbox.Delivery
			if err := json.Unmarshal([]byte(w.edge(t, "webhooks", "show", d.ID, "--json")), &whole); err != nil || string(whole.Body) != `{"ref":"main"}` ||
				whole.Type != "push" || whole.EventID != "a-1" || len(whole.Attempts) != 1 || whole.Attempts[0].Outcome != "ok" {
				t.Errorf("%+v %v", whole, err)
			}
		})
	}
}

func TestWebhooksAreAnsweredAsTheContractSays(t *testing.T) {
	w := serveWebhooks(t, webhookHosts)
	c := w.client("h2")
	for _, test := range []struct {
		name, method, path, body string
		fields                   []string
		status                   int
		says                     string
	}{
		{"a wrong signature", "POST", "/github", "{}", []string{"X-GitHub-Delivery: b", "X-Hub-Signature-256: sha256=" + keyed("{} ")}, 401, "application/problem+json"},
		{"no signature", "POST", "/github", "{}", nil, 401, "not signed"},
		{"too large", "POST", "/small", "more than sixteen bytes", nil, 413, ""},
		{"no source", "POST", "/gitlab", "{}", nil, 404, ""},
		{"a method", "GET", "/github", "", nil, 405, "POST"},
		{"X looks whose this is", "GET", "/crc?crc_token=abc", "", nil, 200, `"response_token":"sha256=`},
		{"a key", "POST", "/deep/below/only", "{}", []string{"X-Key: s3cret"}, 200, ""},
		{"another key", "POST", "/only", "{}", []string{"X-Key: s3cre"}, 401, ""},
		{"the plugin's answer", "POST", "/commands", "reply", []string{"X-Id: c-1", "X-Sig: " + keyed("reply")}, 200, "pong c-1"},
		{"an answer that comes later", "POST", "/commands", "wait", []string{"X-Id: c-2", "X-Sig: " + keyed("wait")}, 202, ""},
	} {
		got := fetch(t, c, test.method, "https://hooks.test"+test.path, test.body, test.fields...)
		said := fmt.Sprint(got.Header, got.text)
		if got.StatusCode != test.status || !strings.Contains(said, test.says) || strings.Contains(said, "s3cre") {
			t.Errorf("%s: %d %s", test.name, got.StatusCode, said)
		}
	}
	metrics := w.scrape(t)
	for _, want := range []string{`edge_webhook_requests_total{outcome="refused",source="github"} 2`, `edge_webhooks_pending{source="github"} 0`, `edge_plugin_up{plugin="witness"} 1`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	if said := w.edge(t, "webhooks", "doctor", "github"); !strings.Contains(said, "2 requests were refused") || strings.Contains(said, "s3cre") {
		t.Error(said)
	}
}

func TestDeadDeliveriesAreToldAndHandledAgain(t *testing.T) {
	w := serveWebhooks(t, webhookHosts)
	c := w.client("h1")
	w.push(t, c, "d-1", "refuse")
	w.push(t, c, "d-2", "refuse, too")
	await(t, "both are dead", func() bool { return len(w.list(t, "github", "--state", "dead")) == 2 })
	if status := w.edge(t, "status"); !strings.Contains(status, "webhooks github: dead: 2") {
		t.Error(status)
	}
	if ids := strings.Fields(w.edge(t, "webhooks", "redeliver", "--source", "github", "--dead", "--dry-run")); len(ids) != 2 || len(w.given(t)) != 2 {
		t.Errorf("%q %q", ids, w.given(t))
	}
	first := w.list(t, "github")[1]
	w.edge(t, "webhooks", "redeliver", first.ID)
	await(t, "one was handled again", func() bool { return slices.Equal(w.given(t)[2:], []string{"d-1"}) })
	exported := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(exported, []byte(w.edge(t, "webhooks", "export", first.ID)), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errOut := command(t, "plugins", "test", "witness", exported, "-c", w.running.file); code != exitFailed || !strings.Contains(out, "fail never") {
		t.Errorf("%d %s %s", code, out, errOut)
	}
	if code, out, errOut := command(t, "plugins", "test", "witness", exported, "--json", "-c", w.running.file); code != exitFailed || !strings.Contains(out, `"outcome": "fail"`) {
		t.Errorf("%d %s %s", code, out, errOut)
	}
	for _, wrong := range [][]string{
		{"there is no source \"githup\"", "webhooks", "redeliver", "--source", "githup", "--dry-run"},
		{"there is no delivery \"d-1\"", "webhooks", "redeliver", "d-1"},
		{"there is no delivery \"d-1\"", "webhooks", "show", "d-1"},
	} {
		if code, _, errOut := command(t, append(wrong[1:], "-c", w.running.file)...); code != exitFailed || !strings.Contains(errOut, wrong[0]) {
			t.Errorf("%q: %d %s", wrong[1:], code, errOut)
		}
	}
}

func TestAPluginMailsIfItMay(t *testing.T) {
	w := serveWebhooks(t, webhookHosts)
	w.push(t, w.client("h2"), "m-1", "mail")
	await(t, "a letter", func() bool { letters, _ := filepath.Glob(filepath.Join(w.letters, "*.eml")); return len(letters) == 1 })
	before := w.awaitPlugin(t, 0)
	w.reload(webhookHosts, "WITNESS", must(witness()), `"RECORD"`, strconv.Quote(w.file), `"LETTERS"`, strconv.Quote(w.letters), ", may: [mail]", "")
	w.awaitPlugin(t, before)
	w.push(t, w.client("h2"), "m-2", "mail")
	await(t, "it may not", func() bool {
		for _, d := range w.list(t, "github") {
			if d.EventID == "m-2" && d.Error != "" {
				return true
			}
		}
		return false
	})
}

func must(text string, err error) string {
	if err != nil {
		panic(err)
	}
	return text
}
