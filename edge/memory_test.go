package main

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
)

const (
	mib = 1 << 20
	gib = 1 << 30
)

// anyMemory is an environment that says nothing of memory.
func anyMemory(string) string { return "" }

func TestTheCollectorFitsTheMemoryThatThereIs(t *testing.T) {
	machine := func(n int64) memoryBound { return memoryBound{n, true, "the machine"} }
	own := func(n int64) memoryBound { return memoryBound{n, false, "memory.max"} }
	slice := func(n int64) memoryBound { return memoryBound{n, true, "memory.max of the slice"} }
	for name, test := range map[string]struct {
		bounds         []memoryBound
		env            map[string]string
		given          int64 // what the runtime made of GOMEMLIMIT
		limit, reserve int64
	}{
		"a t4g.nano":                  {[]memoryBound{machine(512 * mib)}, nil, 0, 384 * mib, 6 * mib},
		"a t4g.small":                 {[]memoryBound{machine(2 * gib)}, nil, 0, 1536 * mib, 8 * mib},
		"a large host":                {[]memoryBound{machine(64 * gib)}, nil, 0, 48 * gib, 8 * mib},
		"a service with MemoryMax":    {[]memoryBound{machine(64 * gib), own(100 * mib)}, nil, 0, 90 * mib, 90 * mib / 64},
		"a slice for all apps":        {[]memoryBound{machine(64 * gib), own(2 * gib), slice(gib)}, nil, 0, 768 * mib, 8 * mib},
		"MemoryMax above the machine": {[]memoryBound{machine(gib), own(64 * gib)}, nil, 0, 768 * mib, 8 * mib},
		"nothing is known":            {nil, nil, 0, math.MaxInt64, 0},
		"GOGC is set":                 {[]memoryBound{machine(gib)}, map[string]string{"GOGC": "50"}, 0, 768 * mib, 0},
		"GOMEMLIMIT is set":           {[]memoryBound{machine(gib)}, map[string]string{"GOMEMLIMIT": "80MiB"}, 80 * mib, 80 * mib, 72 * mib / 64},
		"GOMEMLIMIT is generous":      {[]memoryBound{machine(gib)}, map[string]string{"GOMEMLIMIT": "8GiB"}, 8 * gib, 8 * gib, 8 * mib},
		"GOMEMLIMIT is off":           {[]memoryBound{machine(gib)}, map[string]string{"GOMEMLIMIT": "off"}, 0, math.MaxInt64, 8 * mib},
		"all is set":                  {[]memoryBound{machine(gib)}, map[string]string{"GOMEMLIMIT": "80MiB", "GOGC": "off"}, 80 * mib, 80 * mib, 0},
	} {
		given := test.given
		if given == 0 {
			given = math.MaxInt64
		}
		plan := planMemory(test.bounds, given, func(name string) string { return test.env[name] })
		if plan.limit != test.limit || plan.reserve != test.reserve {
			t.Errorf("%s: limit %d, reserve %d, want %d and %d", name, plan.limit, plan.reserve, test.limit, test.reserve)
		}
	}
}

func TestLimitsOfControlGroupsAreFound(t *testing.T) {
	const meminfo = "MemTotal:        1048576 kB\nMemFree:         1000 kB\n"
	machine := memoryBound{gib, true, "the machine"}
	for name, test := range map[string]struct {
		files map[string]string
		want  memoryBound
	}{
		"no control groups": {nil, machine},
		"version 2, as systemd has it": {map[string]string{
			"proc/self/cgroup": "0::/system.slice/edge.service\n",
			"sys/fs/cgroup/system.slice/edge.service/memory.max":  "209715200\n",
			"sys/fs/cgroup/system.slice/edge.service/memory.high": "104857600\n",
			"sys/fs/cgroup/system.slice/memory.max":               "max\n",
			"sys/fs/cgroup/system.slice/memory.high":              "max\n",
		}, memoryBound{100 * mib, false, "memory.high of the control group /system.slice/edge.service"}},
		"the slice above": {map[string]string{
			"proc/self/cgroup": "0::/apps.slice/edge.service\n",
			"sys/fs/cgroup/apps.slice/edge.service/memory.max": "max\n",
			"sys/fs/cgroup/apps.slice/memory.max":              "314572800\n",
		}, memoryBound{300 * mib, true, "memory.max of the control group /apps.slice"}},
		"a group that does not account for memory": {map[string]string{
			"proc/self/cgroup":                        "0::/user.slice/edge.scope\n",
			"sys/fs/cgroup/user.slice/memory.max":     "314572800\n",
			"sys/fs/cgroup/user.slice/memory.current": "1\n",
		}, memoryBound{300 * mib, false, "memory.max of the control group /user.slice"}},
		"version 1": {map[string]string{
			"proc/self/cgroup": "12:cpu,cpuacct:/\n5:memory:/docker/a:b\n1:name=systemd:/x\n0::/\n",
			"sys/fs/cgroup/memory/docker/a:b/memory.limit_in_bytes": "9223372036854771712\n",
			"sys/fs/cgroup/memory/docker/memory.limit_in_bytes":     "314572800\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":            "9223372036854771712\n",
		}, memoryBound{300 * mib, true, "memory.limit_in_bytes of the control group /docker"}},
		"a container that is told its name outside": {map[string]string{
			"proc/self/cgroup":                           "5:memory:/docker/4711\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "314572800\n",
		}, memoryBound{300 * mib, false, "memory.limit_in_bytes of the control group /"}},
		"a container of its own": {map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"sys/fs/cgroup/memory.max": "314572800\n",
		}, memoryBound{300 * mib, false, "memory.max of the control group /"}},
		"a group outside of what is mounted": {map[string]string{
			"proc/self/cgroup":         "0::/../../edge\n",
			"sys/fs/cgroup/memory.max": "314572800\n",
		}, memoryBound{300 * mib, false, "memory.max of the control group /"}},
		"what nobody writes": {map[string]string{
			"proc/self/cgroup":         "\n::\n0\n0:\n0::\n:memory\n-1:memory:memory\n",
			"sys/fs/cgroup/memory.max": "-5\n", "sys/fs/cgroup/memory.high": "much\n",
		}, machine},
	} {
		files := fstest.MapFS{"proc/meminfo": {Data: []byte(meminfo)}}
		for name, data := range test.files {
			files[name] = &fstest.MapFile{Data: []byte(data)}
		}
		if got := planMemory(memoryBounds(files), math.MaxInt64, anyMemory).of; got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

func FuzzMemoryBounds(f *testing.F) {
	f.Add("0::/a/b\n5:memory:/c\n", "MemTotal: 5 kB\n", "100\n")
	f.Fuzz(func(t *testing.T, groups, meminfo, limit string) {
		if strings.Count(groups, "/") > 1000 {
			return // a path has no more
		}
		files := fstest.MapFS{"proc/self/cgroup": {Data: []byte(groups)}, "proc/meminfo": {Data: []byte(meminfo)}, "sys/fs/cgroup/memory.max": {Data: []byte(limit)}}
		if plan := planMemory(memoryBounds(files), math.MaxInt64, anyMemory); plan.limit < 0 || plan.reserve < 0 || plan.reserve > maxReserve {
			t.Errorf("%+v", plan)
		}
	})
}

func TestTheMachineHasMemory(t *testing.T) {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	if got, want := machineMemory(os.DirFS("/")), int64(info.Totalram)*int64(info.Unit); got != want {
		t.Errorf("%d, want %d", got, want)
	}
}

// TestAReserveTakesNoMemory: it makes collections rare, and is not resident.
func TestAReserveTakesNoMemory(t *testing.T) {
	resident := func() (kib int) {
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Sscan(regexp.MustCompile(`RssAnon:\s+(\d+)`).FindStringSubmatch(string(status))[1], &kib)
		return kib
	}
	for range 4 { // from the second time on it is made of memory that was used
		debug.FreeOSMemory()
		before := resident()
		reserve := makeReserve(8 * maxReserve)
		if after := resident(); after-before > 2*maxReserve>>10 {
			t.Fatalf("%d KiB more for a reserve of %d", after-before, len(reserve)>>10)
		}
		runtime.KeepAlive(reserve)
	}
}

// TestRunHeedsItsControlGroup runs edge as systemd would with MemoryMax.
func TestRunHeedsItsControlGroup(t *testing.T) {
	group := controlGroup(t)
	if err := os.WriteFile(filepath.Join(group, "memory.max"), []byte(strconv.Itoa(200*mib)), 0o644); err != nil {
		t.Skip("SKIPPED: no control group's memory can be limited here: ", err)
	}
	dir, err := os.Open(group)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	said := memorySaid(t, &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())})
	if !strings.Contains(said, "limit=180MiB reserve=2MiB bound=200MiB of=\"memory.max of the control group /") {
		t.Errorf("it says %s", said)
	}
}

// TestRunSaysWhatItDoesWithMemory, and leaves to the sysadmin what he has said.
func TestRunSaysWhatItDoesWithMemory(t *testing.T) {
	if said := memorySaid(t, nil); !regexp.MustCompile(`limit=[1-9]\d*MiB reserve=\d+MiB bound=[1-9]\d*MiB of="`).MatchString(said) {
		t.Errorf("it says %s", said)
	}
	if said := memorySaid(t, nil, "GOGC=100", "GOMEMLIMIT=300MiB"); !strings.Contains(said, "limit=300MiB reserve=0MiB bound=") {
		t.Errorf("it says %s", said)
	}
}

// memorySaid starts edge in a process of its own and returns what it logs of memory.
func memorySaid(t *testing.T, as *syscall.SysProcAttr, env ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "edge.yaml")
	if err := os.WriteFile(file, []byte("listen: {http: 127.0.0.1:0, https: []}\nhosts: {localhost: {tls: off, default: {respond: {}}}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	said := new(safeBuffer)
	edge := exec.CommandContext(t.Context(), os.Args[0], "run", "-c", file)
	edge.Env = append(append(os.Environ(), edgeProcess+"=1", "GOGC=", "GOMEMLIMIT="), env...)
	edge.Stderr, edge.SysProcAttr = said, as
	if err := edge.Start(); err != nil {
		t.Fatal(err)
	}
	defer edge.Wait()
	defer edge.Process.Kill()
	await(t, "the server", func() bool { return strings.Contains(said.String(), "msg=serving") })
	for line := range strings.Lines(said.String()) {
		if strings.Contains(line, "msg=memory") {
			return line
		}
	}
	return "nothing"
}

// controlGroup makes a control group (version 2) below that of this process, for as long as the test runs.
func controlGroup(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Skip("SKIPPED: no control groups here: ", err)
	}
	for line := range strings.Lines(string(data)) {
		if own, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			above := filepath.Join("/sys/fs/cgroup", own)
			if _, err := fs.Stat(os.DirFS(above), "cgroup.controllers"); err != nil {
				break
			}
			group, err := os.MkdirTemp(above, "edge-test-")
			if err != nil {
				t.Skip("SKIPPED: no control group can be made here: ", err)
			}
			t.Cleanup(func() { os.Remove(group) })
			return group
		}
	}
	t.Skip("SKIPPED: no control groups of version 2 here")
	return ""
}
