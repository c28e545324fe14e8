package host

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/webhooks/dispatch"
)

func TestAHungPluginIsKilledAndStartedAnew(t *testing.T) {
	h := newTestHost(t, func(t *times) {
		t.ping, t.answer, t.backoff = 100*time.Millisecond, 200*time.Millisecond, time.Millisecond
	})
	h.one("")
	first := h.running()
	if _, err := h.do("stop"); !died(err) || !strings.Contains(err.Error(), "it did not answer 2 pings") {
		t.Errorf("who was handled when it hung: %v", err)
	}
	gone(t, strconv.Itoa(first.PID))
	h.until("started anew", func(s Status) bool { return s.State == Running && s.PID != first.PID })
}

func TestABusyPluginIsNotTakenForAHungOne(t *testing.T) {
	h := newTestHost(t, func(t *times) { t.ping, t.answer = 20*time.Millisecond, 2*time.Second })
	h.one("")
	first := h.running()
	if _, err := h.do("take 500ms"); err != nil || h.status().PID != first.PID {
		t.Errorf("%v, %+v", err, h.status())
	}
}

func TestAPluginWithTooMuchMemoryIsKilled(t *testing.T) {
	h := newTestHost(t, func(t *times) { t.backoff = time.Millisecond })
	h.one("", func(p *config.Plugin) { p.Memory = 128 << 20 })
	first := h.running()
	if rss := h.Status()[0].RSS; rss < 1<<20 || rss > 128<<20 {
		t.Errorf("it has %d bytes", rss)
	}
	if _, err := h.do("eat"); !died(err) || !strings.Contains(err.Error(), "may have 128 MiB (memory)") {
		t.Errorf("who was handled when it ate: %v", err)
	}
	s := h.until("started anew", func(s Status) bool { return s.State == Running && s.PID != first.PID })
	if !strings.Contains(s.Error, "may have 128 MiB") || !strings.Contains(h.log.String(), "may have 128 MiB") {
		t.Errorf("nobody is told: %+v", s)
	}
}

func TestMemoryHasAHardLimit(t *testing.T) {
	h := newTestHost(t, nil)
	h.one("", func(p *config.Plugin) { p.Memory = 512 << 20 })
	limits, err := os.ReadFile("/proc/" + strconv.Itoa(h.running().PID) + "/limits")
	if want := "Max data size             2147483648           2147483648"; err != nil || !strings.Contains(string(limits), want) {
		t.Errorf("its limits are\n%s, want %s", limits, want)
	}
}

func TestAReloadTakesTheProgramAsItIsNow(t *testing.T) {
	h := newTestHost(t, nil)
	command := filepath.Join(t.TempDir(), "p")
	build(t, command, "mark:one")
	h.one("", func(p *config.Plugin) { p.Command = command })
	first := h.running()
	build(t, command, "mark:two")
	slow := make(chan error, 1)
	go func() { _, err := h.do("take 300ms"); slow <- err }()
	h.until("busy", func(s Status) bool { return s.InFlight == 1 })
	if err := h.Reload(t.Context(), "p"); err != nil {
		t.Fatal(err)
	}
	if s := h.status(); s.PID == first.PID || !strings.HasSuffix(s.SDK, "two") || s.Restarts != 0 {
		t.Errorf("after a reload: %+v", s)
	}
	if err := <-slow; err != nil {
		t.Errorf("a call that was under way: %v", err)
	}
	gone(t, strconv.Itoa(first.PID))
	if err := h.Reload(t.Context(), "q"); err == nil || !strings.Contains(err.Error(), "there is no plugin q") {
		t.Errorf("of one that is not there: %v", err)
	}
}

func TestABadBuildLeavesTheOldOneRunning(t *testing.T) {
	h := newTestHost(t, nil)
	command := filepath.Join(t.TempDir(), "p")
	build(t, command, "mark:one")
	h.one("", func(p *config.Plugin) { p.Command = command })
	first := h.running()
	if err := os.WriteFile(command, []byte("#!/bin/sh\necho it does not compile\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := h.Reload(t.Context(), "p"); err == nil || !strings.Contains(err.Error(), "it printed: it does not compile") {
		t.Errorf("%v", err)
	}
	s := h.status()
	if s.PID != first.PID || s.State != Running || !strings.Contains(s.Error, "it does not compile") {
		t.Errorf("%+v", s)
	}
	if out, err := h.do("ok"); err != nil || out.Kind != dispatch.OK {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestAWatchedPluginIsReloadedWhenItIsBuilt(t *testing.T) {
	h := newTestHost(t, nil)
	folder := t.TempDir()
	command := filepath.Join(folder, "p")
	build(t, command, "mark:one")
	h.one("", func(p *config.Plugin) { p.Command, p.Watch = command, true })
	h.running()
	for _, mark := range []string{"two", "three"} {
		build(t, command, "mark:"+mark) // over it
		h.until(mark, func(s Status) bool { return strings.HasSuffix(s.SDK, mark) })
	}
	build(t, folder+"/new", "mark:four")
	if err := os.Rename(folder+"/new", command); err != nil {
		t.Fatal(err)
	}
	h.until("four", func(s Status) bool { return strings.HasSuffix(s.SDK, "four") })
	first := h.status()
	if err := os.WriteFile(command, []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if s := h.until("refused", func(s Status) bool { return s.Error != "" }); s.PID != first.PID || s.State != Running {
		t.Errorf("%+v", s)
	}
}

func TestAPlanKeepsTheProcessOfWhatDidNotChange(t *testing.T) {
	h := newTestHost(t, nil)
	a, b, c := spec(""), spec(""), spec("")
	h.use(map[string]config.Plugin{"a": a, "b": b, "c": c})
	pids := func() map[string]int {
		found := map[string]int{}
		h.until("all running", func(Status) bool {
			well := true
			for _, u := range h.units() {
				s := u.status(nil)
				found[s.Name] = s.PID
				well = well && s.State == Running && s.Error == ""
			}
			return well
		})
		return found
	}
	before := pids()
	b.Env = map[string]string{"MODE": "", "NEW": "1"}
	a.Watch = true
	h.use(map[string]config.Plugin{"a": a, "b": b})
	h.until("swapped", func(Status) bool { return pids()["b"] != before["b"] })
	if after := pids(); after["a"] != before["a"] || len(h.Status()) != 2 {
		t.Errorf("before %v, after %v", before, after)
	}
	gone(t, strconv.Itoa(before["b"]))
	gone(t, strconv.Itoa(before["c"]))
}

func TestReloadsUnderLoadLoseNothing(t *testing.T) {
	h := newTestHost(t, nil)
	h.one("")
	h.running()
	var calls atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for ctx.Err() == nil {
				if out, err := h.do("ok"); err != nil || out.Kind != dispatch.OK {
					t.Errorf("a call came to nothing: %+v, %v", out, err)
					return
				}
				calls.Add(1)
			}
		})
	}
	for range 20 {
		if err := h.Reload(t.Context(), "p"); err != nil {
			t.Error(err)
		}
	}
	cancel()
	callers.Wait()
	if n := calls.Load(); n < 1000 {
		t.Errorf("only %d calls were made", n)
	}
}
