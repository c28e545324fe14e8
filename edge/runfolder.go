package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// longestRunFolder leaves room for the sockets of plugins below it: a socket's path has 107 bytes at most (unix(7)).
const longestRunFolder = 50

// runFolder is where the sockets and the programs of plugins are while this process runs: systemd's RUNTIME_DIRECTORY, else below data_dir, else
// a temporary folder when that has too long a name.
type runFolder struct {
	path string
	temp bool
}

func newRunFolder(dataDir string) (*runFolder, error) {
	f := &runFolder{path: filepath.Join(dataDir, "run")}
	if given := filepath.SplitList(os.Getenv("RUNTIME_DIRECTORY")); len(given) > 0 { // systemd.exec(5)
		f.path = given[0]
	}
	if len(f.path) <= longestRunFolder {
		return f, nil
	}
	path, err := os.MkdirTemp("", "edge")
	if err != nil {
		return nil, fmt.Errorf("the folder for plugins' sockets: %w", err)
	}
	return &runFolder{path, true}, nil
}

func (f *runFolder) plugins() string { return filepath.Join(f.path, "plugins") }

// services is in the folder of this process, which goes with it.
func (f *runFolder) services() string {
	return filepath.Join(f.plugins(), strconv.Itoa(os.Getpid()), "host")
}

func (f *runFolder) close() error {
	if f.temp {
		return os.RemoveAll(f.path)
	}
	return nil
}
