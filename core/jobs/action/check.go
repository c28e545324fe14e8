package action

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/onehost/edge/core/config"
)

// Check looks at the programs of jobs. One that is not there is a warning only: it may be about to be built, and one job is no reason to refuse to serve all else.
func Check(c *config.Config) (problems []config.Problem) {
	for name, j := range c.Jobs {
		if j.Command == "" {
			continue
		}
		at := []any{"jobs", name, "command"}
		info, err := os.Stat(j.Command)
		switch {
		case err != nil:
			if e, ok := errors.AsType[*fs.PathError](err); ok {
				err = e.Err
			}
			problems = append(problems, c.Warning(fmt.Sprintf("the program %s can't be read (%v): build it, or runs of %s fail", c.Show(j.Command, at...), err, name), at...))
		case !info.Mode().IsRegular():
			problems = append(problems, c.Problem(c.Show(j.Command, at...)+" is not a file: a job's command is a program, and what it is given are its args", at...))
		case info.Mode()&0o111 == 0:
			problems = append(problems, c.Problem(c.Show(j.Command, at...)+" is not executable: chmod +x it", at...))
		}
	}
	return problems
}
