package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/user"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// spawn starts the program. given is what go-plugin tells it by its environment, dir the folder for its sockets.
func (p *process) spawn(ctx context.Context, given []string, dir string) (*group, error) {
	if p.who != nil {
		if err := os.Chown(dir, int(p.who.Uid), int(p.who.Gid)); err != nil {
			return nil, err
		}
	}
	var env []string
	for _, key := range slices.Sorted(maps.Keys(p.spec.Env)) {
		env = append(env, key+"="+p.spec.Env[key])
	}
	env = append(append(env, given...), "PLUGIN_CLIENT_CERT="+p.id.text)
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer outWrite.Close()
	errRead, errWrite, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, outRead.Close())
	}
	defer errWrite.Close()
	shake, shakeWrite := io.Pipe()
	g := &group{name: p.name, cmd: newCommand(p.program, p.spec.Args, env, p.who), stdout: outRead, stderr: errRead, shake: shake, ended: make(chan struct{})}
	g.cmd.Stdout, g.cmd.Stderr = outWrite, errWrite
	if err := g.begin(ctx, p.host.starter, p.log); err != nil {
		return nil, errors.Join(err, outRead.Close(), errRead.Close())
	}
	p.log = p.log.With("pid", g.pid())
	p.out.log = p.log
	p.mu.Lock()
	p.group = g
	late := p.cause != nil
	p.mu.Unlock()
	p.host.track(p, true)
	go p.supervise(shakeWrite, dir)
	if late {
		g.kill()
	}
	if p.memory > 0 {
		if err := limitData(g.pid(), p.memory); err != nil && !errors.Is(err, unix.ESRCH) {
			p.log.Warn("a plugin's process has no hard limit of memory", "err", err)
		}
	}
	return g, nil
}

// supervise reads what the process prints, and clears up behind it.
func (p *process) supervise(shake *io.PipeWriter, dir string) {
	var reading sync.WaitGroup
	stdout, stderr := &lines{take: p.greet(shake, dir)}, &lines{take: p.out.line}
	reading.Go(func() { stdout.read(p.group.stdout) })
	reading.Go(func() { stderr.read(p.group.stderr) })
	<-p.group.ended
	soon := time.Now().Add(time.Second) // somebody else may hold the pipes open
	_ = p.group.stdout.SetReadDeadline(soon)
	_ = p.group.stderr.SetReadDeadline(soon)
	reading.Wait()
	p.group.stdout.Close()
	p.group.stderr.Close()
	shake.Close()
	p.client.Kill() // what it holds
	if conn := p.conn.Load(); conn != nil {
		conn.Close()
	}
	p.mu.Lock()
	stop := p.stop
	p.mu.Unlock()
	stop()
	if err := os.RemoveAll(dir); err != nil {
		p.log.Warn("a folder of a plugin's was left behind", "err", err)
	}
	p.program.release()
	p.host.track(p, false)
	close(p.ended)
}

// greet returns what takes the lines of stdout: the handshake goes to go-plugin, all else to the log.
func (p *process) greet(shake *io.PipeWriter, dir string) func([]byte) {
	return func(line []byte) {
		text := string(line)
		if p.shaken.Load() != nil || !looksLikeHandshake(text) {
			p.out.line(line)
			return
		}
		h, err := parseHandshake(text, dir)
		if err != nil {
			p.mu.Lock()
			p.bad = fmt.Errorf("its handshake is not one that edge accepts: %w", err)
			p.mu.Unlock()
			shake.Close()
			return
		}
		p.shaken.Store(h)
		_, _ = io.WriteString(shake, h.line+"\n") // who does not read it any more has given up
		shake.Close()
	}
}

// credential is the user that a plugin runs as; nil for edge's own.
func credential(name string) (*syscall.Credential, error) {
	if name == "" {
		return nil, nil
	}
	u, err := lookUp(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("the user %s has the id %s: %w", name, u.Uid, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("the user %s has the group %s: %w", name, u.Gid, err)
	}
	switch euid := os.Geteuid(); {
	case uint64(euid) == uid:
		return nil, nil
	case euid != 0:
		return nil, fmt.Errorf("edge runs as the user with the id %d, and only root can start a plugin as another one (user: %s): run edge as root, or remove user", euid, name)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil // Groups is empty: no supplementary ones
}

// lookUp finds a user by name or number.
func lookUp(name string) (*user.User, error) {
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			return nil, fmt.Errorf("this machine has no user %s", name)
		}
	}
	return u, nil
}
