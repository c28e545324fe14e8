package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// talk is a service of one method, which answers each message before it takes the next.
var talk = grpc.ServiceDesc{
	ServiceName: "test.Talk",
	HandlerType: (*any)(nil),
	Streams: []grpc.StreamDesc{{
		StreamName: "Talk", ServerStreams: true, ClientStreams: true,
		Handler: func(_ any, stream grpc.ServerStream) error {
			stream.SetTrailer(metadata.Pairs("sum", "7"))
			for {
				var m wrapperspb.StringValue
				switch err := stream.RecvMsg(&m); {
				case errors.Is(err, io.EOF):
					return nil
				case err != nil:
					return err
				}
				if m.Value == "fail" {
					return status.Error(codes.DataLoss, "as you wish")
				}
				m.Value = strings.ToUpper(m.Value)
				if err := stream.SendMsg(&m); err != nil {
					return err
				}
			}
		},
	}},
}

// grpcThrough starts a gRPC server as a target and returns a connection to it through an h2 front.
func grpcThrough(t *testing.T) (*grpc.ClientConn, *house) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	checks := health.NewServer()
	checks.SetServingStatus("app", grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, checks)
	server.RegisterService(&talk, struct{}{})
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})

	home := open(t, true, to(t, "h2c://"+ln.Addr().String()))
	roots := home.client.Transport.(*http.Transport).TLSClientConfig.RootCAs
	conn, err := grpc.NewClient(strings.TrimPrefix(home.url, "https://"),
		grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(roots, "example.com")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, home
}

func TestGRPC(t *testing.T) {
	conn, home := grpcThrough(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()

	t.Run("one answer", func(t *testing.T) {
		client := grpc_health_v1.NewHealthClient(conn)
		got, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "app"})
		if err != nil || got.Status != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("%v, %v", got, err)
		}
		_, err = client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "unknown"})
		if status.Code(err) != codes.NotFound {
			t.Errorf("trailers only: %v", err)
		}
	})
	t.Run("both directions at once", func(t *testing.T) {
		stream := startTalk(ctx, t, conn)
		for _, word := range []string{"a", strings.Repeat("b", 100_000), "c"} {
			if got := exchangeWord(t, stream, word); got != strings.ToUpper(word) {
				t.Errorf("%d bytes became %d", len(word), len(got))
			}
		}
		if err := stream.CloseSend(); err != nil {
			t.Error(err)
		}
		if err := stream.RecvMsg(&wrapperspb.StringValue{}); !errors.Is(err, io.EOF) || stream.Trailer().Get("sum")[0] != "7" {
			t.Errorf("end: %v, trailers %v", err, stream.Trailer())
		}
	})
	t.Run("status while the visitor still may send", func(t *testing.T) {
		stream := startTalk(ctx, t, conn)
		exchangeWord(t, stream, "a")
		if err := stream.SendMsg(wrapperspb.String("fail")); err != nil {
			t.Error(err)
		}
		if err := stream.RecvMsg(&wrapperspb.StringValue{}); status.Code(err) != codes.DataLoss {
			t.Errorf("%v", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		for len(home.records) > 0 {
			<-home.records
		}
		ctx, cancel := context.WithCancel(ctx)
		stream := startTalk(ctx, t, conn)
		exchangeWord(t, stream, "a")
		cancel()
		if record := <-home.records; record.ErrorReason != "client_gone" {
			t.Errorf("reason %q", record.ErrorReason)
		}
	})
}

func startTalk(ctx context.Context, t *testing.T, conn *grpc.ClientConn) grpc.ClientStream {
	t.Helper()
	stream, err := conn.NewStream(ctx, &talk.Streams[0], "/test.Talk/Talk")
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func exchangeWord(t *testing.T, stream grpc.ClientStream, word string) string {
	t.Helper()
	if err := stream.SendMsg(wrapperspb.String(word)); err != nil {
		t.Fatal(err)
	}
	var got wrapperspb.StringValue
	if err := stream.RecvMsg(&got); err != nil {
		t.Fatal(err)
	}
	return got.Value
}
