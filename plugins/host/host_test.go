package host

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/webhooks/dispatch"
)

func TestAPluginGetsADeliveryAsItWasKept(t *testing.T) {
	h := newTestHost(t, nil)
	h.one("")
	h.running()
	got := h.says("echo")
	for _, want := range []string{`id:"d1"`, `source:"s"`, `event_id:"e1"`, `type:"push"`, `seconds:1700000000`, `method:"POST"`, `path:"/hooks/s?a=b"`, `name:"X-A"`, `value:"1�"`, `value:"2"`, "attempt:1"} {
		if !strings.Contains(strings.ReplaceAll(got, "  ", " "), want) {
			t.Errorf("it got %s, want %s", got, want)
		}
	}
	if strings.Contains(strings.ToLower(got), "cookie") || strings.Contains(got, "authorization") {
		t.Errorf("it got credentials: %s", got)
	}
}

func TestALargeDeliveryGetsThrough(t *testing.T) {
	h := newTestHost(t, nil)
	h.one("")
	h.running()
	if out, err := h.do("ok " + strings.Repeat("x", 10<<20)); err != nil || out.Kind != dispatch.OK {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestOutcomesAreWhatThePluginSays(t *testing.T) {
	h := newTestHost(t, nil)
	h.one("")
	h.running()
	for body, want := range map[string]dispatch.Outcome{
		"ok":                   {Kind: dispatch.OK},
		"skip not\nmine":       {Kind: dispatch.Skip, Reason: "not mine"},
		"fail a secret value!": {Kind: dispatch.Fail, Reason: "[KEY]!"},
		"retry soon":           {Kind: dispatch.Retry, Reason: "soon", After: time.Minute},
		"header a\r\nSet: b":   {Kind: dispatch.OK, Reason: `its answer was not sent: its field "X" is not one of HTTP's`},
	} {
		if got, err := h.do(body); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: %+v, %v, want %+v", body, got, err, want)
		}
	}
	for body, want := range map[string]string{"error no such customer": "the plugin p: no such customer", "unavailable stripe is": "the plugin p: Unavailable: stripe is"} {
		if _, err := h.do(body); err == nil || err.Error() != want || down(err) || died(err) {
			t.Errorf("%q: %v, want %q", body, err, want)
		}
	}
}

func TestAPluginGetsItsOwnEnvironmentAndNothingElse(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "of edge")
	h := newTestHost(t, nil)
	h.one("", func(p *config.Plugin) { p.Args = []string{"-x"}; p.Env["A"] = "b" })
	h.running()
	var names []string
	for line := range strings.Lines(h.says("env")) {
		if name, _, ok := strings.Cut(line, "="); ok && strings.ToUpper(name) == name && !strings.Contains(name, "/") && !strings.Contains(name, "+") {
			names = append(names, name)
		}
	}
	if got, want := fmt.Sprint(names), "[A MODE EDGE_PLUGIN PLUGIN_MIN_PORT PLUGIN_MAX_PORT PLUGIN_PROTOCOL_VERSIONS PLUGIN_UNIX_SOCKET_DIR PLUGIN_CLIENT_CERT]"; got != want {
		t.Errorf("it has %s, want %s", got, want)
	}
	var self struct {
		Stdin, Exe, Folder, Sockets string
		Args                        []string
		Leader, Privileges          bool
	}
	if err := json.Unmarshal([]byte(h.says("self")), &self); err != nil {
		t.Fatal(err)
	}
	if self.Stdin != "/dev/null" || self.Exe == pluginFile || !self.Leader || self.Privileges || self.Sockets != "drwx------" || fmt.Sprint(self.Args) != "["+pluginFile+" -x]" || !strings.HasPrefix(pluginFile, self.Folder+"/") {
		t.Errorf("it was started as %+v", self)
	}
	said := h.says("start")
	for _, want := range []string{`plugin:"p"`, `edge:"1.2.3"`, `key:"KEY"`, `value:"a secret value"`, `may:"mail"`, `host:"unix:/nowhere"`, `token:"the token"`} {
		if !strings.Contains(said, want) {
			t.Errorf("it was told %s, want %s", said, want)
		}
	}
}

func TestACallEndsWithItsDeadlineAndThePluginLearnsOfIt(t *testing.T) {
	h := newTestHost(t, nil)
	h.one("")
	h.running()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { _, err := h.Handle(ctx, delivery("wait here"), 1); ended <- err }()
	h.logs("waiting here")
	if s := h.status(); s.InFlight != 1 {
		t.Errorf("in flight: %d", s.InFlight)
	}
	cancel()
	if err := <-ended; err == nil || down(err) || died(err) {
		t.Errorf("a call that was cut short: %v", err)
	}
	h.logs("cancelled here")
}

func TestWhatAPluginPrintsIsLoggedWithTheDelivery(t *testing.T) {
	h := newTestHost(t, nil)
	h.one("")
	pid := h.running().PID
	ctx, cancel := context.WithCancel(context.Background())
	var waiting sync.WaitGroup
	waiting.Go(func() { _, _ = h.Handle(ctx, delivery("wait here"), 1) })
	h.do("print to stdout, a secret value")
	h.logs(`"msg":"plugin printed","plugin":"p","pid":` + strconv.Itoa(pid) + `,"line":"waiting here","delivery":"d1","fields":{"n":"1"}`)
	h.logs(`"line":"to stdout, [KEY]"`)
	cancel()
	waiting.Wait()
}

func TestADeadPluginIsStartedAnew(t *testing.T) {
	h := newTestHost(t, func(t *times) { t.backoff = time.Millisecond })
	h.one("")
	first := h.running()
	if _, err := h.do("die"); !died(err) || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("who was handled when it died: %v", err)
	}
	second := h.until("started anew", func(s Status) bool { return s.State == Running && s.PID != first.PID })
	if second.Restarts != 1 || !strings.Contains(second.Error, "exit status 3") {
		t.Errorf("%+v", second)
	}
	if out, err := h.do("ok"); err != nil || out.Kind != dispatch.OK {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := h.do("panic"); !died(err) || !strings.Contains(err.Error(), "at the disco") {
		t.Errorf("who was handled when it panicked: %v", err)
	}
}

func TestAPluginThatIsNotThereIsDownAtOnce(t *testing.T) {
	h := newTestHost(t, nil)
	if _, err := h.do("ok"); !down(err) || !strings.Contains(err.Error(), "there is no plugin p") {
		t.Errorf("one that is not configured: %v", err)
	}
	h.one("silent", func(p *config.Plugin) { p.Watch = true })
	h.until("starting", func(s Status) bool { return s.State == Starting })
	if _, err := h.do("ok"); !down(err) {
		t.Errorf("one that starts: %v", err)
	}
	h.one("no webhooks")
	h.running()
	if _, err := h.do("ok"); !down(err) || !strings.Contains(err.Error(), "handles no webhooks") {
		t.Errorf("one that has no handler: %v", err)
	}
}

func TestACallWaitsForAPluginThatIsStartedForTheFirstTime(t *testing.T) {
	h := newTestHost(t, func(t *times) { t.first = within })
	h.one("")
	if out, err := h.do("ok"); err != nil || out.Kind != dispatch.OK {
		t.Errorf("%+v %v", out, err)
	}
}

func TestJobsAreRunByTheirName(t *testing.T) {
	h := newTestHost(t, nil)
	h.one("")
	h.running()
	run := Run{ID: "r1", Job: "reconcile", Due: time.Unix(1700000000, 0), Attempt: 2}
	if out, err := h.RunJob(t.Context(), "p", run); err != nil || out.Kind != dispatch.Skip || !strings.Contains(out.Reason, "1700000000") {
		t.Errorf("%+v, %v", out, err)
	}
	run.Job = "nothing"
	if out, err := h.RunJob(t.Context(), "p", run); err != nil || out.Kind != dispatch.Fail || !strings.Contains(out.Reason, "it has reconcile") {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := h.RunJob(t.Context(), "q", run); !down(err) {
		t.Errorf("of a plugin that is not there: %v", err)
	}
}
