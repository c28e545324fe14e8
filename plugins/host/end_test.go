package host

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
)

func TestAStopWaitsForCallsUnderWay(t *testing.T) {
	h := newTestHost(t, nil)
	h.one("")
	pid := h.running().PID
	slow := make(chan error, 1)
	go func() { _, err := h.do("take 300ms"); slow <- err }()
	h.until("busy", func(s Status) bool { return s.InFlight == 1 })
	h.stop()
	if err := <-slow; err != nil {
		t.Errorf("a call that was under way: %v", err)
	}
	gone(t, strconv.Itoa(pid))
	if _, err := h.do("ok"); !down(err) {
		t.Errorf("a call of what was stopped: %v", err)
	}
}

func TestAStopEndsWhatDoesNotEnd(t *testing.T) {
	h := newTestHost(t, func(t *times) { t.drain, t.grace = 100*time.Millisecond, 200*time.Millisecond })
	h.one("")
	h.running()
	slow := make(chan error, 1)
	go func() { _, err := h.do("stop"); slow <- err }()
	h.until("busy", func(s Status) bool { return s.InFlight == 1 })
	h.stop()
	if err := <-slow; !down(err) {
		t.Errorf("a call that edge cut short is no doing of the plugin's: %v", err)
	}
}

func TestWhatAPluginHasStartedEndsWithIt(t *testing.T) {
	h := newTestHost(t, func(t *times) { t.backoff = time.Millisecond })
	h.one("")
	first := h.running()
	near, far := h.says("spawn"), h.says("spawn elsewhere")
	if _, err := h.do("die"); !died(err) {
		t.Error(err)
	}
	gone(t, near)
	gone(t, far)
	h.until("started anew", func(s Status) bool { return s.State == Running && s.PID != first.PID })
	near = h.says("spawn")
	h.stop()
	gone(t, near)
}

// serveHost is a host that is killed. It says which processes there are.
func serveHost(folder string) {
	h := New(Options{Folder: folder, Services: &services{}, Log: slog.New(slog.DiscardHandler)})
	plan, err := h.Plan(&config.Config{Plugins: map[string]config.Plugin{"p": spec("")}})
	if err != nil {
		panic(err)
	}
	plan.Commit()
	go func() { _ = h.Run(context.Background()) }()
	for len(h.Status()) == 0 || h.Status()[0].State != Running {
		time.Sleep(time.Millisecond)
	}
	out, err := h.Handle(context.Background(), delivery("spawn"), 1)
	if err != nil {
		panic(err)
	}
	fmt.Println(h.Status()[0].PID, string(out.Answer.Body))
	select {}
}

func TestNothingIsLeftOfAHostThatIsKilled(t *testing.T) {
	folder, err := os.MkdirTemp("", "h")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	command, _ := os.Executable()
	host := exec.Command(command)
	host.Env = append(os.Environ(), "HOST_TO_KILL="+folder, "PLUGIN_TO_RUN="+pluginFile)
	host.Stderr = os.Stderr
	out, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	pids := strings.Fields(line)
	if err != nil || len(pids) != 2 {
		t.Fatal(line, err)
	}
	for _, pid := range pids {
		if !alive(pid) {
			t.Fatalf("the process %s does not run", pid)
		}
	}
	host.Process.Kill()
	host.Wait()
	for _, pid := range pids {
		gone(t, pid)
	}
	next := newRoom(folder)
	path, err := next.open()
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(folder); len(left) != 1 || !strings.HasSuffix(path, left[0].Name()) {
		t.Errorf("the next one finds %v", left)
	}
}
