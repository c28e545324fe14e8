package host

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/webhooks/dispatch"
)

func TestWhatAPluginPrintsBeforeItServesDoesNoHarm(t *testing.T) {
	h := newTestHost(t, nil)
	h.one("noisy")
	h.running()
	h.logs(`"line":"hello from an import | with bars"`)
}

func TestAPluginThatCanNotBeStartedSaysWhy(t *testing.T) {
	h := newTestHost(t, func(t *times) { t.start, t.backoff = 10*time.Second, time.Hour })
	for mode, want := range map[string]string{
		"dies":          "it ended before it was ready: exit status 3; it printed: no database, my key is [KEY]",
		"refuses":       "it does not start: the secret STRIPE is missing, KEY is [KEY]; it printed nothing",
		"ends in start": "it does not start: it ended: exit status 4; it printed nothing",
		"version2":      "incompatible API version with plugin. Plugin version: 2",
		"plain":         "it has no certificate",
		"impostor":      "authentication handshake failed: tls: failed to verify certificate",
	} {
		h.one(mode)
		s := h.until("failed", func(s Status) bool { return strings.Contains(s.Error, want) })
		if s.State != Restarting && s.State != Starting || s.PID != 0 {
			t.Errorf("%s: %+v", mode, s)
		}
		if _, err := h.do("ok"); !down(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", mode, err, want)
		}
	}
	if strings.Contains(h.log.String(), "a secret value") {
		t.Error("a secret is in the log")
	}
}

func TestAStartThatHangsIsCutShort(t *testing.T) {
	h := newTestHost(t, func(t *times) { t.start, t.backoff = time.Second, time.Hour })
	for mode, want := range map[string]string{"silent": "it was not ready within 1s; it printed: still compiling", "stopped": "it was not ready within 1s; it printed nothing"} {
		h.one(mode)
		h.until("cut short", func(s Status) bool { return s.Error == want })
	}
}

func TestAPluginThatFailsAgainAndAgainIsACrashLoop(t *testing.T) {
	h := newTestHost(t, func(t *times) { t.backoff, t.longest = time.Microsecond, time.Hour })
	folder := t.TempDir()
	command := filepath.Join(folder, "p")
	if err := os.WriteFile(command, []byte("#!/bin/sh\necho x >> "+folder+"/starts\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	h.one("", func(p *config.Plugin) { p.Command = command })
	h.until("a crash loop", func(s Status) bool { return s.State == CrashLoop })
	if starts, _ := os.ReadFile(folder + "/starts"); len(starts) != 2*crashLoop {
		t.Errorf("%d starts", len(starts)/2)
	}
	h.logs("it needs a person")
	err := h.Reload(t.Context(), "p")
	if err == nil || !strings.Contains(err.Error(), "exit status 1") || h.status().State != CrashLoop {
		t.Errorf("a reload of the same: %v, %v", err, h.status().State)
	}
	os.Remove(command)
	build(t, command, "mark:good")
	if err := h.Reload(t.Context(), "p"); err != nil || h.status().State != Running {
		t.Errorf("a reload of a good one: %v, %v", err, h.status().State)
	}
}

func TestAProgramOfAnotherSHA256IsNotStarted(t *testing.T) {
	h := newTestHost(t, func(t *times) { t.backoff = time.Millisecond })
	command := filepath.Join(t.TempDir(), "p")
	build(t, command, "mark:good")
	text, err := os.ReadFile(command)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	checked := func(p *config.Plugin) { p.Command, p.SHA256 = command, hex.EncodeToString(sum[:]) }
	h.one("", checked)
	first := h.running()

	if err := os.WriteFile(command, append(text, '!'), 0o755); err != nil {
		t.Fatal("the file of a program that runs can't be overwritten:", err)
	}
	if err := h.Reload(t.Context(), "p"); err == nil || !strings.Contains(err.Error(), "is not the one of sha256") {
		t.Errorf("a reload of another program: %v", err)
	}
	if s := h.status(); s.PID != first.PID || s.State != Running {
		t.Errorf("a refused program has taken the place of the one there was: %+v", s)
	}
	if _, err := h.do("die"); !died(err) {
		t.Fatal(err)
	}
	s := h.until("started anew from what was checked", func(s Status) bool { return s.State == Running && s.PID != first.PID })
	if !strings.HasSuffix(s.SDK, "good") {
		t.Errorf("%+v", s)
	}
}

func TestAScriptRunsWhereItIs(t *testing.T) {
	h := newTestHost(t, nil)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "p"), []byte("#!/bin/sh\n. \"$(dirname \"$0\")\"/lib\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "lib"), []byte("exec "+pluginFile+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.one("", func(p *config.Plugin) { p.Command = filepath.Join(folder, "p"); p.Env["PATH"] = "/usr/bin:/bin" })
	h.running()
}

func TestAPluginRunsAsItsUser(t *testing.T) {
	nobody, err := user.Lookup("nobody")
	if err != nil || os.Geteuid() != 0 {
		h := newTestHost(t, nil)
		h.one("", func(p *config.Plugin) { p.User = "0" })
		h.until("refused", func(s Status) bool { return strings.Contains(s.Error, "only root can start a plugin as another one") })
		t.Skip("SKIPPED: needs root, and the user nobody")
	}
	h := newTestHost(t, func(t *times) { t.backoff = time.Hour })
	folder, err := os.MkdirTemp("", "h") // those of the test are nobody else's to enter
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	os.Chmod(folder, 0o755)
	command := filepath.Join(folder, "p")
	build(t, command, "")
	h.one("", func(p *config.Plugin) { p.Command, p.User = command, "nobody" })
	h.running()
	var self struct {
		UID, GID int
		Groups   []int
		Sockets  string
	}
	if err := json.Unmarshal([]byte(h.says("self")), &self); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(self.UID, self.GID) != nobody.Uid+" "+nobody.Gid || len(self.Groups) != 0 || self.Sockets != "drwx------" {
		t.Errorf("it runs as %+v", self)
	}
	h.one("", func(p *config.Plugin) { p.Command, p.User = command, "no-such-user" })
	h.until("refused", func(s Status) bool { return strings.Contains(s.Error, "this machine has no user no-such-user") })
	if out, err := h.do("ok"); err != nil || out.Kind != dispatch.OK {
		t.Errorf("the one there was does not go on: %+v, %v", out, err)
	}
}

func TestCheckKnowsWhatAPluginNeeds(t *testing.T) {
	folder := t.TempDir()
	data := filepath.Join(folder, "data")
	if err := os.WriteFile(data, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, p := range map[string]config.Plugin{
		"warning: the program \"" + folder + "/none\" can't be read (no such file or directory): build it, or deliveries wait": {Command: folder + "/none"},
		"error: \"" + data + "\" is not executable: chmod +x it":                                                               {Command: data},
		"error: \"" + folder + "\" is not a file: a plugin's command is a program":                                             {Command: folder},
		"warning: this machine has no user nobody-at-all: make it, or the plugin can't be started":                             {Command: "/bin/sh", User: "nobody-at-all"},
		"error: PLUGIN_X is one of those that edge itself starts a plugin with":                                                {Command: "/bin/sh", Env: map[string]string{"PLUGIN_X": ""}},
	} {
		problems := Check(&config.Config{Plugins: map[string]config.Plugin{"p": p}})
		got := fmt.Sprint(problems)
		if len(problems) == 1 {
			got = map[bool]string{true: "warning: ", false: "error: "}[problems[0].Warning] + problems[0].Message
		}
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
