package sdk

import (
	"context"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/onehost/edge/plugins/internal/proto"
)

const (
	// connectWithin is how long edge may take to shake hands on a new connection.
	connectWithin = 10 * time.Second
	// maxHead is how many bytes of metadata a call may have.
	maxHead = 64 << 10
	// shutdown is the call by which go-plugin's host ends a plugin.
	shutdown = "/plugin.GRPCController/Shutdown"
)

// gate is what all calls pass: it lets those that are under way come to their end, with their answers, before the process does. go-plugin alone would break
// them off.
type gate struct {
	grpc   *grpc.Server
	closed context.Context // done once no more calls are taken
	shut   context.CancelFunc
	mu     sync.Mutex // of what follows
	inside int
	empty  chan struct{} // closed when the gate is and nobody is inside
}

// newGate is an open gate.
func newGate() *gate {
	g := &gate{empty: make(chan struct{})}
	g.closed, g.shut = context.WithCancel(context.Background())
	return g
}

// newServer is a server whose calls pass the gate, with limits.
func (g *gate) newServer(options []grpc.ServerOption) *grpc.Server {
	g.grpc = grpc.NewServer(append(options,
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage), grpc.MaxHeaderListSize(maxHead), grpc.ConnectionTimeout(connectWithin),
		grpc.StatsHandler(g), grpc.UnaryInterceptor(g.unary), grpc.StreamInterceptor(g.stream))...)
	return g.grpc
}

// unary lets a call through.
func (g *gate) unary(ctx context.Context, r any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	switch {
	case info.FullMethod == shutdown:
		g.close()
		select {
		case <-g.empty:
		case <-ctx.Done():
		}
		return &emptypb.Empty{}, nil
	case !strings.HasPrefix(info.FullMethod, "/"+proto.Plugin_ServiceDesc.ServiceName+"/"):
		return handle(ctx, r) // health
	case !g.enter(ctx):
		return nil, status.Error(codes.Unavailable, "the plugin is about to end")
	}
	return handle(ctx, r)
}

// stream lets go-plugin's own streams through. They end with the gate's closing, and nobody is told what services there are.
func (g *gate) stream(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if strings.HasPrefix(info.FullMethod, "/grpc.reflection.") {
		return status.Error(codes.Unimplemented, "no reflection: the protocol is in plugin.proto")
	}
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	defer context.AfterFunc(g.closed, cancel)()
	return handle(srv, ending{s, ctx})
}

// ending is a stream whose context is another.
type ending struct {
	grpc.ServerStream
	ctx context.Context
}

// Context is done when the gate is closed.
func (e ending) Context() context.Context { return e.ctx }

// RecvMsg ends when the gate is closed, too.
func (e ending) RecvMsg(m any) error {
	received := make(chan error, 1)
	go func() { received <- e.ServerStream.RecvMsg(m) }() // ends at the latest with the stream, whose handler does not outlive this
	select {
	case err := <-received:
		return err
	case <-e.ctx.Done():
		return status.FromContextError(e.ctx.Err()).Err()
	}
}

// visit is in a call's context: whether it was let in.
type visit struct{ inside bool }

// visitKey is where.
type visitKey struct{}

// enter counts a call in; false: the gate is closed.
func (g *gate) enter(ctx context.Context) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	v, ok := ctx.Value(visitKey{}).(*visit)
	if !ok || g.closed.Err() != nil {
		return false
	}
	v.inside = true
	g.inside++
	return true
}

// TagRPC marks a call (stats.Handler).
func (g *gate) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, visitKey{}, &visit{})
}

// HandleRPC counts a call out, once its answer is on its way: not before, or the answer to the call that ends the plugin could overtake it, and edge hang up.
func (g *gate) HandleRPC(ctx context.Context, event stats.RPCStats) {
	if _, ends := event.(*stats.End); !ends {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if v, ok := ctx.Value(visitKey{}).(*visit); !ok || !v.inside {
		return
	}
	g.inside--
	if g.inside == 0 && g.closed.Err() != nil {
		close(g.empty)
	}
}

// TagConn has nothing to do.
func (g *gate) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn has nothing to do.
func (g *gate) HandleConn(context.Context, stats.ConnStats) {}

// close takes no more calls, and has the server end when those under way have been answered. It does not wait for that.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed.Err() != nil {
		return
	}
	g.shut()
	if g.inside == 0 {
		close(g.empty)
	}
	go g.grpc.GracefulStop()
}
