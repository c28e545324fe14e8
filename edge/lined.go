package main

import "sync"

// record names one version of an entry.
type record struct{ kind, id string }

// lined are records that were sent and of which nothing has been heard, in order. Who sends and who hears are two goroutines.
type lined struct {
	mu    sync.Mutex
	all   []record
	heard int
}

func (l *lined) add(r record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, r)
}

// next is the record that something was heard of now.
func (l *lined) next() record {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == 0 {
		return record{}
	}
	r := l.all[0]
	l.all = l.all[1:]
	l.heard++
	return r
}

func (l *lined) done() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard
}
