package host

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// hardLimit is the data (RLIMIT_DATA, setrlimit(2)) that each process of a plugin with a bound may have: a stop for what grows by more between two looks than the machine has. It
// counts what is mapped, much of which is never used (Go's heap arenas, the stacks of threads), so that it is far above the bound.
func hardLimit(memory int64) uint64 { return 2*uint64(memory) + 1<<30 }

// limitData sets the hard limit of a process that has just been started.
func limitData(pid int, memory int64) error {
	limit := hardLimit(memory)
	return unix.Prlimit(pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: limit, Max: limit}, nil)
}

// watchMemory ends processes that have more memory than their plugin may.
func (h *Host) watchMemory(stop <-chan struct{}) {
	tick := time.NewTicker(h.times.memory)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-stop:
			return
		}
		var bounded []*process
		h.mu.Lock()
		for p := range h.live {
			if p.memory > 0 {
				bounded = append(bounded, p)
			}
		}
		h.mu.Unlock()
		if len(bounded) == 0 {
			continue
		}
		used := resident()
		for _, p := range bounded {
			if n := used[p.group.pid()]; n > p.memory {
				p.end(fmt.Errorf("it and what it started had %d MiB of memory, and may have %d MiB (memory)", n>>20, p.memory>>20))
			}
		}
	}
}

// resident is the resident memory (RSS) of each session on this machine, in bytes, by the id of its leader. What several processes share counts for each of them.
func resident() map[int]int64 {
	used := make(map[int]int64)
	page := int64(os.Getpagesize())
	eachProcess(func(_, session int, pages int64) { used[session] += pages * page })
	return used
}

// session returns the processes of a session, but for its leader.
func session(leader int) (pids []int) {
	eachProcess(func(pid, session int, _ int64) {
		if session == leader && pid != leader {
			pids = append(pids, pid)
		}
	})
	return pids
}

// eachProcess calls do with each process of this machine that can be seen.
func eachProcess(do func(pid, session int, pages int64)) {
	dir, err := os.Open("/proc")
	if err != nil {
		return
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return
	}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		text, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue // it has just ended
		}
		if session, pages, ok := parseStat(text); ok {
			do(pid, session, pages)
		}
	}
}

// parseStat reads /proc/PID/stat (proc_pid_stat(5)). The second field is the program's name in parentheses, and may have anything in it.
func parseStat(text []byte) (session int, pages int64, ok bool) {
	const (
		sessionField = 6
		rssField     = 24
		afterName    = 3
	)
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return 0, 0, false
	}
	fields := bytes.Fields(text[end+1:])
	if len(fields) <= rssField-afterName {
		return 0, 0, false
	}
	session, err := strconv.Atoi(string(fields[sessionField-afterName]))
	if err != nil {
		return 0, 0, false
	}
	pages, err = strconv.ParseInt(string(fields[rssField-afterName]), 10, 64)
	return session, pages, err == nil
}
