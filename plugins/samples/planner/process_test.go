package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/onehost/edge/plugins/internal/proto"
	"github.com/onehost/edge/plugins/sdk/fixture"
	"github.com/onehost/edge/plugins/sdk/sdktest"
)

// smallHost starts plugins as edge does, and is as much of edge to them as the planner asks for.
type smallHost struct {
	proto.UnimplementedHostServer
	goplugin.NetRPCUnsupportedPlugin
	mu     sync.Mutex // of what follows
	values map[string][]byte
	at     map[string]int64 // versions of the values
	done   map[string]bool
	mails  []*proto.Mail
}

// GRPCServer is the plugin's side, which is not here.
func (h *smallHost) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error {
	return errors.ErrUnsupported
}

// GRPCClient is what calls the plugin.
func (h *smallHost) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return proto.NewPluginClient(conn), nil
}

func (h *smallHost) Get(_ context.Context, r *proto.GetRequest) (*proto.GetResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	value, ok := h.values[r.GetKey()]
	return &proto.GetResponse{Found: ok, Value: value, Version: h.at[r.GetKey()]}, nil
}

func (h *smallHost) Put(_ context.Context, r *proto.PutRequest) (*proto.PutResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.IfVersion != nil && r.GetIfVersion() != h.at[r.GetKey()] {
		return nil, status.Error(codes.Aborted, "changed")
	}
	h.values[r.GetKey()] = r.GetValue()
	h.at[r.GetKey()]++
	return &proto.PutResponse{Version: h.at[r.GetKey()]}, nil
}

func (h *smallHost) Begin(_ context.Context, r *proto.BeginRequest) (*proto.BeginResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.done[r.GetKey()] {
		return &proto.BeginResponse{State: proto.BeginResponse_DONE}, nil
	}
	return &proto.BeginResponse{State: proto.BeginResponse_BEGUN, Turn: 1}, nil
}

func (h *smallHost) Finish(_ context.Context, r *proto.FinishRequest) (*proto.FinishResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done[r.GetKey()] = r.GetDone()
	return &proto.FinishResponse{}, nil
}

func (h *smallHost) SendMail(_ context.Context, m *proto.Mail) (*proto.SendMailResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mails = append(h.mails, m)
	return &proto.SendMailResponse{}, nil
}

// serve serves h at a socket, to those who have the token.
func (h *smallHost) serve(t testing.TB, socket, token string) {
	t.Helper()
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, r any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		if md, _ := metadata.FromIncomingContext(ctx); len(md.Get("authorization")) != 1 || md.Get("authorization")[0] != "Bearer "+token {
			return nil, status.Error(codes.Unauthenticated, "wrong token")
		}
		return handle(ctx, r)
	}))
	proto.RegisterHostServer(server, h)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
}

// build builds the planner.
func build(t testing.TB) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "planner")
	if out, err := exec.Command("go", "build", "-trimpath", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// start starts the program, and is the client of its process and what calls it.
func (h *smallHost) start(t testing.TB, program string) (*goplugin.Client, proto.PluginClient) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = []string{"OPERATOR=ops@example.com", "PLUGIN_CLIENT_CERT=" + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "EDGE_PLUGIN", MagicCookieValue: "edge.plugin.v1"},
		Plugins:          goplugin.PluginSet{"plugin": h},
		Cmd:              cmd,
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		SkipHostEnv:      true,
		TLSConfig:        &tls.Config{MinVersion: tls.VersionTLS13, ServerName: "localhost", Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		Logger:           hclog.NewNullLogger(),
	})
	t.Cleanup(client.Kill)
	protocol, err := client.Client()
	if err != nil {
		t.Fatal(err)
	}
	plugin, err := protocol.Dispense("plugin")
	if err != nil {
		t.Fatal(err)
	}
	return client, plugin.(proto.PluginClient)
}

// newSmallHost has nothing yet.
func newSmallHost() *smallHost {
	return &smallHost{values: make(map[string][]byte), at: make(map[string]int64), done: make(map[string]bool)}
}

// onTheWire is the event as edge sends it.
func onTheWire(event fixture.Event) *proto.Delivery {
	d := &proto.Delivery{
		Id: event.EventID, Source: event.Source, EventId: event.EventID, Type: event.Type, Received: timestamppb.New(event.Received),
		Method: event.Method, Path: event.Path, Body: event.Body, Attempt: 1,
	}
	for _, f := range event.Header {
		d.Header = append(d.Header, &proto.Field{Name: f.Name, Value: f.Value})
	}
	return d
}

func TestThePlannerWorksAsAProcess(t *testing.T) {
	h := newSmallHost()
	socket := filepath.Join(t.TempDir(), "host")
	h.serve(t, socket, "token")
	program := build(t)
	for range 2 { // the second process knows what the first has done
		client, plugin := h.start(t, program)
		said, err := plugin.Start(t.Context(), &proto.StartRequest{Plugin: "planner", Host: "unix:" + socket, Token: "token", May: []string{"mail"}})
		if err != nil || !said.GetWebhooks() || len(said.GetJobs()) != 1 {
			t.Fatal(said, err)
		}
		for _, name := range []string{"github-push", "stripe-checkout", "stripe-invoice", "standard-user"} {
			if out, err := plugin.HandleWebhook(t.Context(), onTheWire(sdktest.Load(t, "testdata/"+name+".json"))); err != nil || out.GetKind() != proto.Outcome_OK {
				t.Fatal(name, out, err)
			}
		}
		out, err := plugin.RunJob(t.Context(), &proto.Run{Id: "run-1", Job: "digest", Due: timestamppb.Now(), Attempt: 1})
		if err != nil || out.GetKind() != proto.Outcome_OK && out.GetKind() != proto.Outcome_SKIP {
			t.Fatal(out, err)
		}
		client.Kill()
	}
	if len(h.mails) != 2 || h.mails[0].GetSubject() != "Paid: 12.00 EUR by eve@example.com" || h.mails[1].GetId() != "planner-digest-run-1" {
		t.Errorf("got %v", h.mails)
	}
	if got := string(h.values["totals"]); got != `{"auth/user":1,"github/push":1,"stripe/checkout.session.completed":1,"stripe/invoice.paid":1}` {
		t.Errorf("got %s", got)
	}
}

// BenchmarkStart is how long it takes until a plugin can be given its first delivery, and how much memory it has then.
func BenchmarkStart(b *testing.B) {
	h, program, rss := newSmallHost(), build(b), 0
	for b.Loop() {
		client, plugin := h.start(b, program)
		if _, err := plugin.Start(b.Context(), &proto.StartRequest{Host: "unix:none"}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		rss = resident(b, client.ReattachConfig().Pid)
		client.Kill()
		b.StartTimer()
	}
	b.ReportMetric(float64(rss)/(1<<20), "MiB-resident")
}

// resident is how many bytes of memory a process has.
func resident(b *testing.B, pid int) int {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		b.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(statm), &size, &pages); err != nil {
		b.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// BenchmarkCall is what a delivery costs that is skipped, the call alone, beside gRPC's own health check over the same connection.
func BenchmarkCall(b *testing.B) {
	h := newSmallHost()
	client, plugin := h.start(b, build(b))
	if _, err := plugin.Start(b.Context(), &proto.StartRequest{Host: "unix:none"}); err != nil {
		b.Fatal(err)
	}
	ping := onTheWire(sdktest.Load(b, "testdata/github-ping.json"))
	protocol, err := client.Client()
	if err != nil {
		b.Fatal(err)
	}
	var call, health time.Duration
	for b.Loop() {
		began := time.Now()
		if out, err := plugin.HandleWebhook(b.Context(), ping); err != nil || out.GetKind() != proto.Outcome_SKIP {
			b.Fatal(out, err)
		}
		called := time.Now()
		if err := protocol.Ping(); err != nil {
			b.Fatal(err)
		}
		call, health = call+called.Sub(began), health+time.Since(called)
	}
	b.ReportMetric(float64(call.Nanoseconds())/float64(b.N), "call-ns")
	b.ReportMetric(float64(health.Nanoseconds())/float64(b.N), "health-ns")
}
