//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of times in /proc/PID/stat (proc_pid_stat(5)): Linux has shown user space a hundred a second since ever.
const tick = 10 * time.Millisecond

// usage is the CPU time that a process tree has used.
type usage struct {
	ticks time.Duration // user and system, ended children included, to 10 ms
	fine  time.Duration // of the threads that live, to the nanosecond; 0 where the kernel does not say
}

// since is the CPU time between two looks: the finer clock's, unless threads that ended took their share with them.
func (u usage) since(before usage) time.Duration {
	ticks, fine := u.ticks-before.ticks, u.fine-before.fine
	if fine*10 > ticks*9 {
		return fine
	}
	return ticks
}

// cpuUsed is what the process and its descendants have used.
func cpuUsed(pid int) (usage, error) {
	var used usage
	processes, err := tree(pid)
	for _, p := range processes {
		used.ticks += p.ticks
		used.fine += threadTime(p.pid)
	}
	return used, err
}

// threadTime adds up /proc/PID/task/*/schedstat, whose first number is the time on a CPU in nanoseconds.
func threadTime(pid int) time.Duration {
	var sum time.Duration
	names, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid)) // the pattern is good
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			continue // it ended
		}
		text, _, _ := strings.Cut(string(data), " ")
		n, _ := strconv.ParseInt(text, 10, 64)
		sum += time.Duration(n)
	}
	return sum
}

// A process is what /proc/PID/stat says of one.
type process struct {
	pid, parent int
	ticks       time.Duration
}

// tree is the process with its descendants.
func tree(pid int) ([]process, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := map[int][]process{}
	var found []process
	for _, name := range stats {
		data, err := os.ReadFile(name)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
				continue // it ended
			}
			return nil, err
		}
		p, err := parseStat(string(data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		children[p.parent] = append(children[p.parent], p)
		if p.pid == pid {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("process %d has ended", pid)
	}
	for i := 0; i < len(found); i++ { // it grows meanwhile
		found = append(found, children[found[i].pid]...)
	}
	return found, nil
}

// parseStat reads proc_pid_stat(5). The name, second, is in parentheses and may hold any byte.
func parseStat(text string) (process, error) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return process{}, errors.New("no name in parentheses")
	}
	rest := strings.Fields(text[end+1:]) // from the third field on
	if len(rest) < 15 {
		return process{}, fmt.Errorf("%d fields after the name", len(rest))
	}
	var p process
	var times [4]int64 // utime, stime, cutime, cstime
	var errs [6]error
	p.pid, errs[0] = strconv.Atoi(strings.TrimSpace(text[:open]))
	p.parent, errs[1] = strconv.Atoi(rest[1])
	for i := range times {
		times[i], errs[2+i] = strconv.ParseInt(rest[11+i], 10, 64)
	}
	p.ticks = time.Duration(times[0]+times[1]+times[2]+times[3]) * tick
	return p, errors.Join(errs[:]...)
}

// memory is what a process tree holds.
type memory struct {
	rss, pss float64 // KiB; in pss, what n processes share counts for an nth each
}

func memoryOf(pid int) (memory, error) {
	processes, err := tree(pid)
	if err != nil {
		return memory{}, err
	}
	var sum memory
	for _, p := range processes {
		one, err := memoryOfProcess(p.pid)
		if err != nil {
			return memory{}, err
		}
		sum.rss, sum.pss = sum.rss+one.rss, sum.pss+one.pss
	}
	return sum, nil
}

// memoryOfProcess is what one process holds.
func memoryOfProcess(pid int) (m memory, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return m, err
	}
	for line := range strings.Lines(string(data)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "Rss: %f kB", &kib); err == nil {
			m.rss = kib
		} else if _, err := fmt.Sscanf(line, "Pss: %f kB", &kib); err == nil {
			m.pss = kib
		}
	}
	return m, nil
}

// waitedForCore is how long the threads of a process have had something to do and no core.
func waitedForCore(pid int) (sum time.Duration) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid)) // the pattern is a good one
	for _, file := range files {
		var ran, waited time.Duration
		if data, err := os.ReadFile(file); err == nil { // or the thread has ended
			_, _ = fmt.Sscan(string(data), (*int64)(&ran), (*int64)(&waited))
		}
		sum += waited
	}
	return sum
}
