package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/onehost/edge/plugins/internal/proto"
)

// server answers edge: it is what the plugin's program serves.
type server struct {
	proto.UnimplementedPluginServer
	plugin  *plugin
	log     *slog.Logger
	dial    func(target, token string) (proto.HostClient, error)
	session atomic.Pointer[session] // since Start
}

// Start takes what the handlers need of edge.
func (s *server) Start(_ context.Context, r *proto.StartRequest) (*proto.StartResponse, error) {
	host, err := s.dial(r.GetHost(), r.GetToken())
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "edge's own services at %q: %v", r.GetHost(), err)
	}
	if !s.session.CompareAndSwap(nil, &session{secrets: r.GetSecrets(), host: host}) {
		return nil, status.Error(codes.FailedPrecondition, "the plugin has been started already")
	}
	return &proto.StartResponse{Sdk: "go " + version(), Webhooks: s.plugin.webhook != nil, Jobs: s.plugin.names()}, nil
}

// HandleWebhook has the author's function handle a delivery.
func (s *server) HandleWebhook(ctx context.Context, in *proto.Delivery) (*proto.Outcome, error) {
	if s.plugin.webhook == nil {
		return nil, status.Error(codes.Unimplemented, "this plugin handles no webhooks: its program gives sdk.Serve no sdk.Webhook")
	}
	log := s.log.With("delivery", in.GetId(), "source", in.GetSource(), "attempt", in.GetAttempt())
	return s.call(ctx, log, func(c Context) Result { return s.plugin.webhook(c, delivery(in)) })
}

// RunJob has the author's function run a job.
func (s *server) RunJob(ctx context.Context, in *proto.Run) (*proto.Outcome, error) {
	run := s.plugin.jobs[in.GetJob()]
	if run == nil {
		return nil, status.Errorf(codes.NotFound, "this plugin has no job %q: its jobs are %s", in.GetJob(), strings.Join(s.plugin.names(), ", "))
	}
	log := s.log.With("run", in.GetId(), "job", in.GetJob(), "attempt", in.GetAttempt())
	return s.call(ctx, log, func(c Context) Result {
		return run(c, &Run{ID: in.GetId(), Job: in.GetJob(), Due: in.GetDue().AsTime(), Attempt: int(in.GetAttempt())})
	})
}

// call calls the author's function. Whatever it does, edge gets an outcome, and one that loses nothing.
func (s *server) call(ctx context.Context, log *slog.Logger, fn func(Context) Result) (*proto.Outcome, error) {
	session := s.session.Load()
	if session == nil {
		return nil, status.Error(codes.FailedPrecondition, "the plugin was not started: Start comes first")
	}
	result := guarded(Context{Context: ctx, log: log, session: session}, fn)
	out, ok := result.outcome()
	if !ok {
		const forgot = "the handler returned no result: return sdk.OK(), sdk.Skip, sdk.Retry or sdk.Fail"
		log.Error(forgot, "result", result.String())
		out, _ = Retry(0, forgot).outcome()
	}
	return out, nil
}

// maxStack is how many bytes of a stack are logged.
const maxStack = 16 << 10

// guarded is fn's result; of a panic, a Retry.
func guarded(c Context, fn func(Context) Result) (result Result) {
	defer func() {
		if p := recover(); p != nil {
			reason := cut(fmt.Sprintf("panic: %v", p), maxReason)
			c.log.Error("the handler panicked", "error", reason, "stack", cut(string(debug.Stack()), maxStack))
			result = Retry(0, reason)
		}
	}()
	return fn(c)
}

// version is this package's version, as the program was built with it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range append(info.Deps, &info.Main) {
			if m.Path == "github.com/onehost/edge" && m.Version != "" {
				return m.Version
			}
		}
	}
	return "(devel)"
}

// InProcess is what a program that gave options to Serve would serve, without the program: it is for package sdktest, which gives handlers a host of its own.
func InProcess(log *slog.Logger, host proto.HostClient, options ...Option) (proto.PluginServer, error) {
	p, err := assemble(options)
	if err != nil {
		return nil, err
	}
	if host == nil {
		return nil, errors.New("there is no host")
	}
	return &server{plugin: p, log: log, dial: func(string, string) (proto.HostClient, error) { return host, nil }}, nil
}
