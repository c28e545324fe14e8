package sdk_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/onehost/edge/plugins/internal/proto"
	"github.com/onehost/edge/plugins/sdk"
)

// as says what this program is to be when a test starts it.
const as = "SDK_TEST_AS"

func TestMain(m *testing.M) {
	webhook := sdk.Webhook(handleForTest)
	digest := sdk.Job("digest", func(_ sdk.Context, r *sdk.Run) sdk.Result { return sdk.Skip(r.ID) })
	switch os.Getenv(as) {
	case "":
		goleak.VerifyTestMain(m)
	case "nothing":
		sdk.Serve()
	case "twice":
		job := sdk.Job("j", func(sdk.Context, *sdk.Run) sdk.Result { return sdk.OK() })
		sdk.Serve(webhook, webhook, job, job)
	default:
		sdk.Serve(webhook, digest)
	}
}

// handleForTest does what the delivery's type says.
func handleForTest(ctx sdk.Context, d *sdk.Delivery) sdk.Result {
	switch d.Type {
	case "print":
		fmt.Println("by fmt")
		fmt.Fprintln(os.Stderr, "by stderr")
		shell := exec.CommandContext(ctx, "sh", "-c", "echo by a program")
		shell.Stdout = os.Stdout
		_, err := syscall.Write(1, []byte("by descriptor 1\n")) // as C code does
		if err := errors.Join(err, shell.Run()); err != nil {
			return sdk.Fail(err.Error())
		}
		log.Print("by log")
		slog.Info("by slog", "n", 1)
		ctx.Log().Warn("by the context", "n", 2)
	case "panic":
		panic("in a handler")
	case "wait":
		_, err := ctx.KV().Get("wait")
		return sdk.From(err)
	case "deadline":
		<-ctx.Done()
		return sdk.From(ctx.Err())
	}
	return sdk.OK()
}

// host is what edge is to the plugin that it started.
type host struct {
	proto.UnimplementedHostServer
	goplugin.NetRPCUnsupportedPlugin
	client *goplugin.Client
	plugin proto.PluginClient
	conn   *grpc.ClientConn
	cmd    *exec.Cmd
	log    *buffer
	waits  chan struct{} // a handler asked for the key "wait"
	goOn   chan struct{} // and is told when this is closed
}

// Get keeps the handler waiting.
func (h *host) Get(ctx context.Context, r *proto.GetRequest) (*proto.GetResponse, error) {
	if md, _ := metadata.FromIncomingContext(ctx); strings.Join(md.Get("authorization"), ",") != "Bearer token" {
		return nil, status.Error(codes.Unauthenticated, "who are you?")
	}
	h.waits <- struct{}{}
	<-h.goOn
	return &proto.GetResponse{Found: r.GetKey() == "wait"}, nil
}

// buffer can be written to and read at once.
type buffer struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.String()
}

// GRPCServer is the plugin's side, which is not here.
func (h *host) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error { return errors.ErrUnsupported }

// GRPCClient keeps the connection.
func (h *host) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	h.conn = conn
	return proto.NewPluginClient(conn), nil
}

// start starts this program as a plugin, as edge does.
func start(t *testing.T) *host {
	t.Helper()
	h := &host{log: &buffer{}, waits: make(chan struct{}, 100), goOn: make(chan struct{})}
	folder := t.TempDir()
	listener, err := net.Listen("unix", filepath.Join(folder, "host"))
	if err != nil {
		t.Fatal(err)
	}
	services := grpc.NewServer()
	proto.RegisterHostServer(services, h)
	go services.Serve(listener)
	t.Cleanup(services.Stop)

	config, certificate := credentials(t)
	h.cmd = exec.Command(os.Args[0])
	h.cmd.Env = []string{as + "=plugin", "PLUGIN_CLIENT_CERT=" + certificate, "PLUGIN_UNIX_SOCKET_DIR=" + folder, "PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}
	h.client = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "EDGE_PLUGIN", MagicCookieValue: "edge.plugin.v1"},
		Plugins:          goplugin.PluginSet{"plugin": h},
		Cmd:              h.cmd,
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		SkipHostEnv:      true,
		TLSConfig:        config,
		StartTimeout:     30 * time.Second,
		Logger:           hclog.New(&hclog.LoggerOptions{Output: h.log, Level: hclog.Trace, JSONFormat: true}),
	})
	t.Cleanup(h.client.Kill)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(h.log)
		}
	})
	protocol, err := h.client.Client()
	if err != nil {
		t.Fatal(err, h.log)
	}
	plugin, err := protocol.Dispense("plugin")
	if err != nil {
		t.Fatal(err)
	}
	h.plugin = plugin.(proto.PluginClient)
	said, err := h.plugin.Start(t.Context(), &proto.StartRequest{Plugin: "p", Edge: "test", Host: "unix:" + filepath.Join(folder, "host"), Token: "token"})
	if err != nil {
		t.Fatal(err)
	}
	if !said.GetWebhooks() || strings.Join(said.GetJobs(), ",") != "digest" || !strings.HasPrefix(said.GetSdk(), "go ") {
		t.Errorf("it said %v", said)
	}
	return h
}

// credentials are edge's own certificate (P-256, which all of TLS knows), and the text of it for the plugin.
func credentials(t *testing.T) (*tls.Config, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, ServerName: "localhost", Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// deliver has the plugin handle a delivery of that type.
func (h *host) deliver(ctx context.Context, kind string) (*proto.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return h.plugin.HandleWebhook(ctx, &proto.Delivery{Id: "d1", Source: "s", Type: kind, Attempt: 1})
}

// ended waits for the process to end, and says whether it exited with status 0.
func (h *host) ended(t *testing.T) bool {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !h.client.Exited(); time.Sleep(time.Millisecond) { // go-plugin has no event for it
		if time.Now().After(deadline) {
			t.Fatal("the plugin does not end")
		}
	}
	return h.cmd.ProcessState.Success()
}

func TestAllThatAPluginPrintsIsInTheLog(t *testing.T) {
	h := start(t)
	if out, err := h.deliver(t.Context(), "print"); err != nil || out.GetKind() != proto.Outcome_OK {
		t.Fatal(out, err)
	}
	h.client.Kill() // and then all that it wrote was read
	got := h.log.String()
	for _, want := range []string{
		`"@message":"by fmt"`, `"@message":"by stderr"`, `"@message":"by a program"`, `"@message":"by descriptor 1"`,
		`"@level":"info","@message":"by log"`, `"@level":"info","@message":"by slog"`, `"@level":"warn","@message":"by the context"`, `"delivery":"d1"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %s in the log", want)
		}
	}
}

func TestAPanicLeavesThePluginRunningAndItsStackInTheLog(t *testing.T) {
	h := start(t)
	for range 2 {
		if out, err := h.deliver(t.Context(), "panic"); err != nil || out.GetKind() != proto.Outcome_RETRY || out.GetReason() != "panic: in a handler" {
			t.Fatal(out, err)
		}
	}
	h.client.Kill()
	if got := h.log.String(); !strings.Contains(got, "process_test.go") || !strings.Contains(got, `"@level":"error"`) {
		t.Error("there is no stack in the log")
	}
}

func TestAHandlersContextEndsWithTheAttemptsTime(t *testing.T) {
	h := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	// Both sides' clocks end it; the handler's answer may be the faster.
	if out, err := h.deliver(ctx, "deadline"); status.Code(err) != codes.DeadlineExceeded && out.GetReason() != context.DeadlineExceeded.Error() {
		t.Fatal(out, err)
	}
	h.client.Kill() // does not end before the handler has
	if !h.ended(t) {
		t.Error("it did not end by itself")
	}
}

func TestAJobIsRunAndOneThatIsNotThereIsSaid(t *testing.T) {
	h := start(t)
	if out, err := h.plugin.RunJob(t.Context(), &proto.Run{Id: "r1", Job: "digest"}); err != nil || out.GetKind() != proto.Outcome_SKIP || out.GetReason() != "r1" {
		t.Error(out, err)
	}
	if _, err := h.plugin.RunJob(t.Context(), &proto.Run{Job: "other"}); status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), "digest") {
		t.Error(err)
	}
	if _, err := h.plugin.Start(t.Context(), &proto.StartRequest{Host: "unix:x"}); status.Code(err) != codes.FailedPrecondition {
		t.Error(err)
	}
}

func TestWhatIsUnderWayIsAnsweredBeforeThePluginEnds(t *testing.T) {
	for name, end := range map[string]func(*host){
		"asked by edge": func(h *host) { h.client.Kill() },
		"by SIGTERM":    func(h *host) { h.cmd.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			const many = 10
			var calls sync.WaitGroup
			for range many {
				calls.Go(func() {
					if out, err := h.deliver(t.Context(), "wait"); err != nil || out.GetKind() != proto.Outcome_OK {
						t.Error(out, err)
					}
				})
			}
			for range many {
				<-h.waits
			}
			var ending sync.WaitGroup
			ending.Go(func() { end(h) })
			for { // until it takes no more
				if _, err := h.deliver(t.Context(), "ok"); status.Code(err) == codes.Unavailable {
					break
				}
			}
			close(h.goOn)
			calls.Wait()
			ending.Wait()
			if !h.ended(t) {
				t.Error("it did not end by itself")
			}
		})
	}
}

func TestAnInterruptMeantForEdgeDoesNotEndAPlugin(t *testing.T) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, os.Interrupt) // or the plugin might inherit that it is ignored
	defer signal.Stop(caught)
	h := start(t)
	h.cmd.Process.Signal(os.Interrupt)
	if out, err := h.deliver(t.Context(), "ok"); err != nil || out.GetKind() != proto.Outcome_OK {
		t.Error(out, err)
	}
}

func TestAMessageIsTakenUpToSixteenMebibytes(t *testing.T) {
	h := start(t)
	for size, want := range map[int]codes.Code{15 << 20: codes.OK, 17 << 20: codes.ResourceExhausted} {
		if _, err := h.plugin.HandleWebhook(t.Context(), &proto.Delivery{Body: make([]byte, size)}); status.Code(err) != want {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestThereIsNoReflection(t *testing.T) {
	h := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stream, err := grpc_reflection_v1.NewServerReflectionClient(h.conn).ServerReflectionInfo(ctx)
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unimplemented {
		t.Error(err)
	}
}

func TestAnotherThanEdgeCannotTalkToAPlugin(t *testing.T) {
	h := start(t)
	config, _ := credentials(t)
	config.InsecureSkipVerify = true
	conn, err := tls.Dial("unix", h.client.ReattachConfig().Addr.String(), config)
	if err == nil { // TLS 1.3 tells the client of it with its first read
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		_, err = conn.Read(make([]byte, 1))
		conn.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
}

func TestAProgramThatIsStartedByHandSaysWhatItIs(t *testing.T) {
	for what, wants := range map[string][]string{
		"by hand": {"is a plugin of edge", "webhooks, the job digest", "edge plugins test"},
		"nothing": {"nothing to serve"},
		"twice":   {"sdk.Webhook was given twice", `sdk.Job "j" was given twice`},
		"no cert": {"PLUGIN_CLIENT_CERT"},
	} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = []string{as + "=" + what}
		if what == "no cert" {
			cmd.Env = append(cmd.Env, "EDGE_PLUGIN=edge.plugin.v1")
		}
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if cmd.Run(); cmd.ProcessState.ExitCode() != 1 || stdout.Len() > 0 {
			t.Errorf("%s: status %d, stdout %q", what, cmd.ProcessState.ExitCode(), &stdout)
		}
		for _, want := range wants {
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("%s: %q is not in %q", what, want, &stderr)
			}
		}
	}
}
