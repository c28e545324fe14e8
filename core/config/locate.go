package config

import (
	"reflect"
	"slices"
)

// A Location is where a server keeps what lasts, and where operators reach it.
type Location struct {
	DataDir string // absolute
	Admin   string // "unix:/PATH"
}

// Locate returns the location that the configuration at path names, whatever else in it is wrong or can't be had: commands to a
// running server need no secrets. The error is a Problem: the file can't be read, or what it says of the location is wrong.
func Locate(path string, env Env) (Location, error) {
	l := newLoader(env)
	root := l.read(path, place{}, 0)
	if root == nil && len(l.problems) > 0 {
		return Location{}, l.problems[0]
	}
	l.problems = nil // those of included files, which need not say anything of the location
	if root != nil {
		root = only(root, "data_dir", "listen")
		for i, e := range root.entries {
			if e.value.kind == mapping {
				root.entries[i].value = only(e.value, "admin")
			}
		}
	}
	var doc document
	l.value(root, reflect.ValueOf(&doc).Elem(), field{}, "")
	if len(l.problems) > 0 {
		return Location{}, l.problems[0]
	}
	doc.Files = l.files
	doc.fillIn(env)
	return Location{DataDir: doc.DataDir, Admin: doc.Listen.Admin}, nil
}

// only returns a mapping with no more than these keys.
func only(n *node, keys ...string) *node {
	kept := *n
	kept.entries = nil
	for _, e := range n.entries {
		if slices.Contains(keys, e.key.text) {
			kept.entries = append(kept.entries, e)
		}
	}
	return &kept
}
