// Package local runs Lambda functions as processes of this host. A program that speaks the Lambda Runtime API
// (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html), which is every program that Lambda runs, is started when it is first invoked, asks over HTTP on the loopback interface for one
// invocation after the other, and is ended when nobody has needed it for some minutes. In comes what Lambda does around a function: its environment, one invocation at a time in a process,
// its time limits, what becomes of crashes, and the wire of the Invoke API.
//
// A process is isolated from edge as far as crashes and leaks go. It runs as the same user: it may read what edge may read.
package local

import (
	"context"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/onehost/edge/core/child"
)

// Bounds of Lambda's own (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html), and of ours.
const (
	MaxPayload = 6*1024*1024 + 100 // bytes of an event or an answer; Lambda's error messages name this number
	TailSize   = 4 << 10           // bytes of what a function printed that come with its answer
	InitTime   = 10 * time.Second  // from a process's start until it asks for its first invocation
	Region     = "us-east-1"       // what functions of this host are told, because the SDKs in them want one

	idleTime  = 5 * time.Minute // a process that nobody needed for so long is ended
	idleLook  = 15 * time.Second
	graceTime = 2 * time.Second // between SIGTERM and SIGKILL, as Lambda gives its extensions
	account   = "000000000000"
)

// Spec says what a function is.
type Spec struct {
	Name        string
	Command     string // a program's file
	Args        []string
	Env         map[string]string // with what Lambda sets, all that the process gets
	Timeout     time.Duration     // of one invocation
	Concurrency int               // processes at most
}

// Service keeps the processes of all functions.
type Service struct {
	log     *slog.Logger
	starter *child.Starter

	mu        sync.Mutex
	functions map[*Function]int // those with processes, and how many
	closed    bool
	processes sync.WaitGroup // added to while mu is held
}

// New returns a Service without a function.
func New(log *slog.Logger) *Service {
	return &Service{log: log, starter: child.NewStarter(), functions: make(map[*Function]int)}
}

// Function is one function: a handler of Lambda's Invoke API, with a pool of processes behind it.
type Function struct {
	service *Service
	spec    Spec
	env     []string // but for what a process has of its own
	dir     string
	pool    *pool
}

// NewFunction returns a function. Nothing is started before it is invoked.
func (s *Service) NewFunction(spec Spec) (*Function, error) {
	command, err := filepath.Abs(spec.Command)
	if err != nil {
		return nil, err
	}
	spec.Command = command
	f := &Function{service: s, spec: spec}
	env := f.environment()
	f.dir = env["LAMBDA_TASK_ROOT"]
	for _, key := range slices.Sorted(maps.Keys(env)) {
		f.env = append(f.env, key+"="+env[key])
	}
	f.pool = newPool(f)
	return f, nil
}

// environment is what Lambda gives a function (https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html), and what the configuration says, which goes before it.
// Nothing of edge's own environment is in it, where credentials may be.
func (f *Function) environment() map[string]string {
	handler := filepath.Base(f.spec.Command)
	if n := len(f.spec.Args); n > 0 { // an interpreter's last argument, as in python -m awslambdaric app.handler
		handler = f.spec.Args[n-1]
	}
	env := map[string]string{
		"AWS_LAMBDA_FUNCTION_NAME": f.spec.Name, "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
		"AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/" + f.spec.Name, "AWS_LAMBDA_LOG_STREAM_NAME": "local", "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
		"AWS_REGION": Region, "AWS_DEFAULT_REGION": Region, "_HANDLER": handler,
		"LAMBDA_TASK_ROOT": filepath.Dir(f.spec.Command), "TZ": ":UTC", "LANG": "en_US.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin",
	}
	maps.Copy(env, f.spec.Env)
	delete(env, "AWS_LAMBDA_RUNTIME_API") // each process has its own
	return env
}

// Processes is how many processes the function has.
func (f *Function) Processes() int { return f.pool.size() }

// Retire ends the function's processes as soon as they have done what they are at. Whoever invokes it all the same gets a process that ends after it.
func (f *Function) Retire() { f.pool.retire() }

// Run starts processes when they are needed, ends those that are not, and returns when ctx has ended and so have all processes.
func (s *Service) Run(ctx context.Context) error {
	look := time.NewTicker(idleLook)
	defer look.Stop()
	stop := make(chan struct{})
	var starter sync.WaitGroup
	starter.Go(func() { s.starter.Run(stop) })
	for {
		select {
		case <-look.C:
			s.each(func(f *Function) { f.pool.endIdle(time.Now().Add(-idleTime)) })
			continue
		case <-ctx.Done():
		}
		break
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.each(func(f *Function) { f.pool.close() })
	s.processes.Wait()
	close(stop)
	starter.Wait()
	return nil
}

func (s *Service) each(do func(*Function)) {
	s.mu.Lock()
	all := slices.Collect(maps.Keys(s.functions))
	s.mu.Unlock()
	for _, f := range all {
		do(f)
	}
}

// enroll counts one process more; false if it is too late for that.
func (s *Service) enroll(f *Function) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.functions[f]++
	s.processes.Add(1)
	return true
}

// leave counts one process less.
func (s *Service) leave(f *Function) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.functions[f]--; s.functions[f] == 0 {
		delete(s.functions, f)
	}
	s.processes.Done()
}

// version is what changes in a program's file when it is built again; none if there is no file.
type version struct {
	device, inode uint64
	size          int64
	changed       syscall.Timespec
}

func (f *Function) version() version {
	var s syscall.Stat_t
	if err := syscall.Stat(f.spec.Command, &s); err != nil {
		return version{}
	}
	return version{s.Dev, s.Ino, s.Size, s.Mtim}
}
