package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/plugins/internal/proto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// What go-plugin has both sides know. The cookie is no secret: it has a program say that it is a plugin, when a person starts it by hand.
const (
	protocolVersion = 1
	cookieKey       = "EDGE_PLUGIN"
	cookieValue     = "edge.plugin.v1"
	setName         = "plugin"
)

const (
	messageMost = 4 << 20  // bytes of what a plugin answers
	headMost    = 64 << 10 // bytes of the head of an answer, in which errors are
	sameUser    = -1
)

// process is one process of a plugin, from its start until nothing is left of it.
type process struct {
	host    *Host
	name    string
	spec    config.Plugin
	memory  int64 // bytes; 0: no bound
	program *program
	log     *slog.Logger
	since   time.Time

	id     *identity
	who    *syscall.Credential // nil: edge's user
	shaken atomic.Pointer[handshake]
	client *plugin.Client
	group  *group  // nil until it is started
	out    *output // of its own: errors quote it
	conn   atomic.Pointer[grpc.ClientConn]
	api    proto.PluginClient
	health grpc_health_v1.HealthClient
	said   *proto.StartResponse
	stop   func() // serving it

	answered atomic.Int64  // calls that came back
	ended    chan struct{} // closed when nothing is left of it

	mu      sync.Mutex
	cause   error // why edge ended it
	bad     error // what is wrong with its handshake
	ordered bool  // it was to end, for no fault of its own
	held    int   // calls under way
	closed  bool  // it is given nothing any more
	idle    chan struct{}
}

// start starts a process and returns it when it is of service. It holds the program until it has ended.
func (h *Host) start(ctx context.Context, name string, spec config.Plugin, prog *program) (*process, error) {
	p := &process{
		host: h, name: name, spec: spec, memory: int64(spec.Memory), program: prog, log: h.log.With("plugin", name), since: time.Now(),
		stop: func() {}, ended: make(chan struct{}), idle: make(chan struct{}),
	}
	ctx, cancel := context.WithTimeoutCause(ctx, h.times.start, fmt.Errorf("it was not ready within %v", h.times.start))
	defer cancel()
	err := p.begin(ctx)
	if p.group == nil {
		prog.release()
		close(p.ended)
		return nil, err
	}
	if err != nil {
		p.end(err)
		<-p.ended
		return nil, fmt.Errorf("%w%s", err, p.out.printed())
	}
	go p.attend(context.WithoutCancel(ctx))
	return p, nil
}

// begin does what a start consists of.
func (p *process) begin(ctx context.Context) error {
	folder, err := p.host.room.open()
	if err != nil {
		return err
	}
	if p.who, err = credential(p.spec.User); err != nil {
		return err
	}
	if p.who != nil {
		if err := p.host.room.admit(folder, p.spec.User, p.who.Uid, p.who.Gid); err != nil {
			return err
		}
	}
	if p.id, err = newIdentity(); err != nil {
		return err
	}
	if err := p.program.check(); err != nil {
		return err
	}
	p.out = newOutput(p.log, p.spec.Secrets)
	printed := &lines{take: p.out.line}
	p.client = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  plugin.HandshakeConfig{ProtocolVersion: protocolVersion, MagicCookieKey: cookieKey, MagicCookieValue: cookieValue},
		Plugins:          plugin.PluginSet{setName: dispensed{}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		RunnerFunc: func(_ hclog.Logger, given *exec.Cmd, dir string) (runner.Runner, error) {
			g, err := p.spawn(ctx, given.Env, dir)
			if err != nil {
				return nil, errors.Join(err, os.RemoveAll(dir))
			}
			return g, nil
		},
		SkipHostEnv: true, TLSConfig: p.id.tls(&p.shaken), StartTimeout: p.host.times.start,
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: folder},
		SyncStdout:       printed, SyncStderr: printed,
		Logger: hclog.NewNullLogger(),
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageMost)), grpc.WithMaxHeaderListSize(headMost), grpc.WithDisableServiceConfig(), grpc.WithIdleTimeout(0),
			grpc.WithStreamInterceptor(p.note),
		},
	})
	conn, err := p.connect(ctx)
	if err != nil {
		return err
	}
	p.api, p.health = proto.NewPluginClient(conn), grpc_health_v1.NewHealthClient(conn)
	return p.introduce(ctx)
}

// note keeps the connection, which go-plugin loses when a process ends at the wrong moment.
func (p *process) note(ctx context.Context, d *grpc.StreamDesc, conn *grpc.ClientConn, method string, next grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
	p.conn.Store(conn)
	return next(ctx, d, conn, method, o...)
}

// dispensed is the plugin as go-plugin sees it: a connection.
type dispensed struct{ plugin.NetRPCUnsupportedPlugin }

// GRPCServer is the plugin's business.
func (dispensed) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("edge is no plugin")
}

// GRPCClient is the connection.
func (dispensed) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}

// connect has go-plugin start and reach the process.
func (p *process) connect(ctx context.Context) (*grpc.ClientConn, error) {
	type result struct {
		protocol plugin.ClientProtocol
		err      error
	}
	done := make(chan result, 1)
	go func() {
		protocol, err := p.client.Client()
		done <- result{protocol, err}
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		p.end(context.Cause(ctx)) // what hangs there ends with the process
		<-done
		return nil, context.Cause(ctx)
	}
	if r.err != nil {
		return nil, p.unreached(r.err)
	}
	raw, err := r.protocol.Dispense(setName)
	if err != nil {
		return nil, err
	}
	conn, ok := raw.(*grpc.ClientConn)
	if !ok {
		return nil, fmt.Errorf("go-plugin returned %T", raw)
	}
	return conn, nil
}

// unreached says why go-plugin did not get to the process.
func (p *process) unreached(err error) error {
	p.mu.Lock()
	bad, g := p.bad, p.group
	p.mu.Unlock()
	if bad != nil {
		return bad
	}
	if g != nil && p.shaken.Load() == nil && closed(g.ended) {
		return fmt.Errorf("it ended before it was ready: %s", strings.TrimPrefix(g.exit(), "it ended: "))
	}
	return err
}

// introduce makes the first calls, of which the process has to answer both.
func (p *process) introduce(ctx context.Context) error {
	uid := sameUser
	if p.who != nil {
		uid = int(p.who.Uid)
	}
	target, token, stop, err := p.host.services.Serve(p.name, p.spec.May, uid)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.stop = stop
	p.mu.Unlock()
	p.said, err = p.api.Start(ctx, &proto.StartRequest{
		Plugin: p.name, Edge: p.host.version, Secrets: p.spec.Secrets, May: p.spec.May, Host: target, Token: token,
	})
	if err != nil {
		return p.broken(ctx, "it does not start", err)
	}
	if err := p.well(ctx); err != nil {
		return p.broken(ctx, "it is not healthy", err)
	}
	return nil
}

// broken says why a first call came to nothing.
func (p *process) broken(ctx context.Context, what string, err error) error {
	if status.Code(err) == codes.Unavailable && p.gone() {
		return fmt.Errorf("%s: %s", what, p.group.exit())
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%s: %s", what, p.words(err))
}

// words is what an error of a call says, without secrets.
func (p *process) words(err error) string {
	s := status.Convert(err)
	text := s.Message()
	if s.Code() != codes.Unknown {
		text = s.Code().String() + ": " + text
	}
	return sentence(p.out.hidden.Replace(text))
}

// well asks whether it is: the health check that all of go-plugin's plugins have, or any answer at all.
func (p *process) well(ctx context.Context) error {
	answer, err := p.health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: setName})
	switch {
	case status.Code(err) == codes.Unimplemented || status.Code(err) == codes.NotFound:
		return nil
	case err != nil:
		return err
	case answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING:
		return status.Error(codes.FailedPrecondition, "its health check says "+answer.GetStatus().String())
	}
	return nil
}

const missedMost = 2 // pings in a row that may come to nothing

// attend pings the process until it has ended. One that answers calls is well, whether or not it finds the time for pings.
func (p *process) attend(ctx context.Context) {
	tick := time.NewTicker(p.host.times.ping)
	defer tick.Stop()
	missed, answered := 0, p.answered.Load()
	for {
		select {
		case <-tick.C:
		case <-p.ended:
			return
		}
		ping, cancel := context.WithTimeout(ctx, p.host.times.answer)
		err := p.well(ping)
		cancel()
		now := p.answered.Load()
		if err == nil || now != answered {
			missed, answered = 0, now
			continue
		}
		if missed++; missed == missedMost {
			p.end(fmt.Errorf("it hung: it did not answer %d pings of %v each (%s)", missed, p.host.times.answer, p.words(err)))
			return
		}
	}
}

// end kills the process and all that it started. The first cause is the one that counts.
func (p *process) end(cause error) {
	p.mu.Lock()
	if p.cause == nil {
		p.cause = cause
	}
	g := p.group
	p.mu.Unlock()
	if g != nil {
		g.kill()
	}
}

// failure says why a process has ended.
func (p *process) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cause != nil {
		return p.cause
	}
	return fmt.Errorf("%s%s", p.group.exit(), p.out.printed())
}

// gone reports whether the process has ended, if need be after a moment: a call is told before the kernel tells us.
func (p *process) gone() bool {
	timer := time.NewTimer(noticeTime)
	defer timer.Stop()
	select {
	case <-p.group.ended:
		return true
	case <-timer.C:
		return false
	}
}

const noticeTime = 500 * time.Millisecond

// acquire begins a call; false if the process is given none any more.
func (p *process) acquire() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.cause != nil || closed(p.group.ended) {
		return false
	}
	p.held++
	return true
}

// release ends a call.
func (p *process) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held--; p.held == 0 && p.closed {
		close(p.idle)
	}
}

func (p *process) inFlight() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// retire gives the process no calls any more, waits for those under way, and ends it: it is asked to by go-plugin, then by SIGTERM, then killed.
func (p *process) retire(drain time.Duration) {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		if p.held == 0 {
			close(p.idle)
		}
	}
	p.mu.Unlock()
	p.await(p.idle, drain)
	p.mu.Lock()
	p.ordered = true
	p.mu.Unlock()
	go p.client.Kill() // it hangs as long as the process does
	if !p.await(p.ended, p.host.times.grace/2) {
		p.group.signal(syscall.SIGTERM)
		if !p.await(p.ended, p.host.times.grace) {
			p.group.kill()
		}
	}
	<-p.ended
}

// await waits for something, no longer than the process lives.
func (p *process) await(done <-chan struct{}, most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-p.group.ended:
		return true
	case <-timer.C:
		return false
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
