package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// commit is set by the linker (see Makefile) where the toolchain does not stamp it.
var commit string

type versionInfo struct {
	Version string `json:"version"` // of the module, "(devel)" for a working tree
	Commit  string `json:"commit"`  // "" if unknown
	Go      string `json:"go"`
}

func version() versionInfo {
	v := versionInfo{Version: "(devel)", Commit: commit, Go: runtime.Version()}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if build.Main.Version != "" {
		v.Version = build.Main.Version
	}
	for _, s := range build.Settings {
		if s.Key == "vcs.revision" && v.Commit == "" {
			v.Commit = s.Value[:min(12, len(s.Value))]
		}
	}
	return v
}

func (v versionInfo) String() string {
	s := "edge " + v.Version
	if v.Commit != "" {
		s += " (" + v.Commit + ")"
	}
	return s + " " + v.Go
}

func (c *cli) versionCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:     "version",
		Short:   "print the version, the commit and the version of Go",
		Example: "  edge version --json",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			if c.json {
				return c.printJSON(version())
			}
			_, err := fmt.Fprintln(c.out, version())
			return err
		},
	})
}
