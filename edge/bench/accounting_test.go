//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// burnt starts processes that burn time, and returns what they say they used, and what the accounts say.
func burnt(t *testing.T, fates ...string) (said time.Duration, used usage) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	c, err := start(t.Context(), program{args: append([]string{os.Args[0], "burn"}, fates...), out: write})
	if err != nil {
		t.Fatal(err)
	}
	defer c.stop()
	write.Close()
	read.SetReadDeadline(time.Now().Add(60 * time.Second))
	for range fates {
		var n int64
		if _, err := fmt.Fscan(read, &n); err != nil {
			t.Fatal(err)
		}
		said += time.Duration(n)
	}
	if used, err = cpuUsed(c.pid()); err != nil {
		t.Fatal(err)
	}
	return said, used
}

func TestTheAccountsShowWhatAProcessAndItsChildBurnt(t *testing.T) {
	said, used := burnt(t, "stay", "stay")
	if got := used.since(usage{}); (got - said).Abs() > said/10 {
		t.Errorf("they burnt %v, the accounts show %v (%+v)", said, got, used)
	}
	if used.fine == 0 {
		t.Log("this kernel has no schedstat")
	}
}

func TestTheAccountsShowWhatAnEndedChildBurnt(t *testing.T) {
	said, used := burnt(t, "stay", "end")
	if got := used.since(usage{}); (got - said).Abs() > said/5 { // in ticks of 10 ms
		t.Errorf("they burnt %v, the accounts show %v (%+v)", said, got, used)
	}
	if used.fine > said*3/4 {
		t.Errorf("the fine clock knows of the ended child: %+v", used)
	}
}

func TestAProcessMayHaveAnyName(t *testing.T) {
	for name, text := range map[string]string{
		"plain":       "7 (nginx) S 3 7 7 0 -1 4194560 1 2 3 4 11 22 33 44 20 0 1 0 5 6",
		"parentheses": "7 (a) (b) S 1 ) S 3 7 7 0 -1 4194560 1 2 3 4 11 22 33 44 20 0 1 0 5 6",
	} {
		if p, err := parseStat(text); err != nil || p != (process{pid: 7, parent: 3, ticks: 110 * tick}) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	for _, text := range []string{"", "7", "7 (a", ")7(", "7 (a) S 3", "x (nginx) S 3 7 7 0 -1 4194560 1 2 3 4 11 22 33 44 20 0"} {
		if p, err := parseStat(text); err == nil {
			t.Errorf("%q is %+v", text, p)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("7 (a) (b) S 3 7 7 0 -1 4194560 1 2 3 4 11 22 33 44 20 0 1 0 5 6")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = parseStat(text) })
}

func TestMemoryIsThatOfTheTree(t *testing.T) {
	m, err := memoryOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if m.rss < 1024 || m.pss <= 0 || m.pss > m.rss {
		t.Errorf("%+v", m)
	}
	if _, err := memoryOf(1 << 30); err == nil {
		t.Error("a process that is none has memory")
	}
}

func TestPortsAreFreeAndBelowTheEphemeral(t *testing.T) {
	ports, err := freePorts(5)
	if err != nil || len(ports) != 5 {
		t.Fatal(ports, err)
	}
	from := 0
	data, err := os.ReadFile(filepath.Join("/proc/sys/net/ipv4/ip_local_port_range"))
	if _, scanned := fmt.Sscan(string(data), &from); err != nil || scanned != nil {
		t.Fatal(err, scanned)
	}
	for _, port := range ports {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil || port >= from {
			t.Errorf("port %d of an ephemeral range from %d: %v", port, from, err)
		}
		ln.Close()
	}
}
