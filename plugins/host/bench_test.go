package host

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/onehost/edge/plugins/internal/proto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// BenchmarkCall is what a call of a plugin takes, beside an empty call of gRPC over a unix socket within one process. They take turns, so that both see the same machine.
func BenchmarkCall(b *testing.B) {
	h := newTestHost(b, nil)
	h.one("")
	h.running()
	empty := emptyServer(b)
	d := delivery("ok")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var calls, empties time.Duration
	n := 0
	for b.Loop() {
		begun := time.Now()
		if _, err := h.Handle(ctx, d, 1); err != nil {
			b.Fatal(err)
		}
		called := time.Now()
		if _, err := empty.RunJob(ctx, &proto.Run{}); err != nil {
			b.Fatal(err)
		}
		calls, empties, n = calls+called.Sub(begun), empties+time.Since(called), n+1
	}
	b.ReportMetric(float64(calls.Microseconds())/float64(n), "µs/call")
	b.ReportMetric(float64(empties.Microseconds())/float64(n), "µs/empty")
	b.ReportMetric(float64(calls)/float64(empties), "ratio")
}

type nothing struct {
	proto.UnimplementedPluginServer
}

func (nothing) RunJob(context.Context, *proto.Run) (*proto.Outcome, error) {
	return &proto.Outcome{}, nil
}

func emptyServer(b *testing.B) proto.PluginClient {
	path := filepath.Join(b.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	s := grpc.NewServer()
	proto.RegisterPluginServer(s, nothing{})
	go s.Serve(l)
	b.Cleanup(s.Stop)
	conn, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return proto.NewPluginClient(conn)
}

// BenchmarkStart is what passes from a start until the first call has come back.
func BenchmarkStart(b *testing.B) {
	h := newTestHost(b, nil)
	h.one("")
	h.running()
	for b.Loop() {
		if err := h.Reload(b.Context(), "p"); err != nil {
			b.Fatal(err)
		}
		if _, err := h.do("ok"); err != nil {
			b.Fatal(err)
		}
	}
}
