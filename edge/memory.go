package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A memoryBound is something that ends the memory that edge may have.
type memoryBound struct {
	bytes  int64
	shared bool // with others than edge
	name   string
}

// noBound is more than any machine has. Where there is no limit, version 1 of control groups says the largest number of pages,
// and Go the largest number.
const noBound = 1 << 60

// room is how much of it edge takes before its collector works against growing further. What is not the heap's needs some, too;
// and what is shared is also for the apps and the databases on the same host.
func (b memoryBound) room() int64 {
	if b.shared {
		return b.bytes / 4 * 3
	}
	return b.bytes / 10 * 9
}

// memoryPlan is how the garbage collector works.
type memoryPlan struct {
	limit   int64 // GOMEMLIMIT, in bytes
	reserve int64 // bytes that the heap is taken to have more than it has
	of      memoryBound
}

// maxReserve is enough to make collections rare: edge's own heap has a few MiB.
const maxReserve = 8 << 20

// planMemory fits the collector to the narrowest of the bounds. What the sysadmin says in the environment (GOGC, GOMEMLIMIT)
// stands: limit is what the runtime goes by already, math.MaxInt64 for none.
//
// Go collects when the heap has doubled. That of edge is so small that this would be every few MiB of garbage, at a tenth of
// all the CPU that HTTP/2 takes. A greater GOGC would let the heap of a host with large sites grow by a multiple of them; the
// reserve is the same for a large heap as for a small one.
func planMemory(bounds []memoryBound, limit int64, getenv func(string) string) memoryPlan {
	if limit < noBound {
		bounds = append(bounds, memoryBound{limit, false, "GOMEMLIMIT"})
	}
	plan := memoryPlan{limit: math.MaxInt64}
	for _, b := range bounds {
		if b.room() < plan.limit {
			plan.limit, plan.of = b.room(), b
		}
	}
	if plan.of.bytes > 0 {
		plan.reserve = min(plan.limit/64, maxReserve)
	}
	if getenv("GOMEMLIMIT") != "" {
		plan.limit = limit
	}
	if getenv("GOGC") != "" {
		plan.reserve = 0
	}
	return plan
}

// fitMemory has the collector work by the memory that there is below root, and says how. The reserve that it returns has to be
// kept alive. Nothing is ever written there, so that it takes addresses, but no memory.
func fitMemory(root fs.FS, getenv func(string) string, log *slog.Logger) (reserve []byte) {
	plan := planMemory(memoryBounds(root), debug.SetMemoryLimit(-1), getenv)
	debug.SetMemoryLimit(plan.limit)
	if plan.of.bytes == 0 {
		log.Info("memory: no bound is known; GOMEMLIMIT can set one")
		return nil
	}
	log.Info("memory", "limit", inMiB(plan.limit), "reserve", inMiB(plan.reserve), "bound", inMiB(plan.of.bytes), "of", plan.of.name)
	return makeReserve(plan.reserve)
}

// makeReserve returns n bytes of which none is resident, even where the runtime has zeroed memory that was used before.
func makeReserve(n int64) []byte {
	reserve := make([]byte, n)
	_ = unix.Madvise(reserve, unix.MADV_DONTNEED) // they are zero, and are zero after it
	return reserve
}

func inMiB(n int64) string {
	if n == math.MaxInt64 {
		return "none"
	}
	return strconv.FormatInt(n>>20, 10) + "MiB"
}

// memoryBounds returns what bounds the memory of this process: the machine's, and the limits of its control groups, of which
// systemd's MemoryMax and MemoryHigh are some. Above MemoryHigh the kernel slows a process down, so it is a bound as well.
func memoryBounds(root fs.FS) []memoryBound {
	var found []memoryBound
	if machine := machineMemory(root); machine > 0 {
		found = append(found, memoryBound{machine, true, "the machine"})
	}
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return found
	}
	for line := range strings.Lines(string(groups)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, ok := strings.Cut(rest, ":")
		switch {
		case !ok:
		case controllers == "": // https://docs.kernel.org/admin-guide/cgroup-v2.html
			found = append(found, groupBounds(root, "sys/fs/cgroup", group, "memory.max", "memory.high")...)
		case strings.Contains(","+controllers+",", ",memory,"): // https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
			found = append(found, groupBounds(root, "sys/fs/cgroup/memory", group, "memory.limit_in_bytes")...)
		}
	}
	return found
}

// groupBounds reads the limits of a group and of all those above it, up to where they are mounted. A container may be told the
// name that its group has outside, and see it mounted as the root: so the first one that is there is its own.
func groupBounds(root fs.FS, mounted, group string, files ...string) []memoryBound {
	var found []memoryBound
	own := true
	for group = path.Clean("/" + group); ; group = path.Dir(group) {
		there := false
		for _, file := range files {
			data, err := fs.ReadFile(root, path.Join(mounted, group, file))
			if err != nil {
				continue
			}
			there = true
			if n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil && n > 0 && n < noBound { // not "max"
				found = append(found, memoryBound{n, !own, fmt.Sprintf("%s of the control group %s", file, group)})
			}
		}
		own = own && !there
		if group == "/" {
			return found
		}
	}
}

// machineMemory is the machine's memory in bytes, 0 if it is not known.
func machineMemory(root fs.FS) int64 {
	data, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		var kib int64
		if _, err := fmt.Sscanf(lines.Text(), "MemTotal: %d kB", &kib); err == nil && kib > 0 && kib < math.MaxInt64>>10 {
			return kib << 10
		}
	}
	return 0
}
