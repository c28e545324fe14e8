package host

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"

	"github.com/onehost/edge/core/child"
)

// guardian ends a plugin's process group when edge is killed. The kernel does that for the plugin's own process (Pdeathsig), and not for what that one has started.
// It is a shell that waits for the end of a pipe which edge alone holds open.
type guardian struct {
	cmd  *exec.Cmd
	pipe *os.File
	once sync.Once
}

const (
	shell = "/bin/sh"
	guard = `trap "" TERM INT HUP; read -r line; kill -s KILL -- "-$1"`
)

// newGuardian starts the guardian of a group. A nil one guards nothing.
func newGuardian(s *child.Starter, group int) (*guardian, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	g := &guardian{pipe: write, cmd: &exec.Cmd{
		Path: shell, Args: []string{"edge-plugin-guard", "-c", guard, "edge-plugin-guard", strconv.Itoa(group)}, Env: []string{}, Dir: "/",
		Stdin: read, SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}}
	if err := s.Do(context.Background(), g.cmd.Start); err != nil {
		write.Close()
		return nil, fmt.Errorf("starting %s: %w", shell, unwrapped(err))
	}
	return g, nil
}

// end ends the guardian, before the id of the group may be another's.
func (g *guardian) end() {
	if g == nil {
		return
	}
	g.once.Do(func() {
		_ = g.cmd.Process.Kill()
		_ = g.cmd.Wait() // it was killed
		g.pipe.Close()
	})
}
