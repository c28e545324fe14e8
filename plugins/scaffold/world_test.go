package scaffold

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/onehost/edge/core/mail"
	"github.com/onehost/edge/core/store/storetest"
	"github.com/onehost/edge/plugins/internal/proto"
	"github.com/onehost/edge/plugins/services"
	"google.golang.org/grpc"
)

// world is a process of a plugin, and edge as far as the process knows it.
type world struct {
	proto.PluginClient
	client *plugin.Client
	store  *storetest.Memory
	log    buffer
	sent   chan mail.Message
	free   chan struct{} // closed when mail has waited
}

// running is a process of a plugin, started as edge does: with nothing in its environment, and mutual TLS.
func running(t *testing.T, program, sdk string) *world {
	t.Helper()
	sockets, err := os.MkdirTemp("", "") // t.TempDir's paths are too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(sockets) })
	w := &world{store: storetest.NewMemory(), sent: make(chan mail.Message, 16), free: make(chan struct{})}
	own, text := identity(t)
	cmd := exec.Command(program)
	cmd.Env = []string{"PLUGIN_CLIENT_CERT=" + text}
	w.client = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "EDGE_PLUGIN", MagicCookieValue: "edge.plugin.v1"},
		Plugins:          plugin.PluginSet{"plugin": client{}},
		Cmd:              cmd,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		SkipHostEnv:      true,
		StartTimeout:     time.Minute,
		TLSConfig:        &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12, ServerName: "localhost"},
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: sockets},
		Logger:           hclog.New(&hclog.LoggerOptions{Output: &w.log, Level: hclog.Debug, JSONFormat: true}),
	})
	t.Cleanup(w.client.Kill)
	conn, err := w.client.Client()
	if err != nil {
		t.Fatalf("%v\n%s", err, w.log.String())
	}
	dispensed, err := conn.Dispense("plugin")
	if err != nil {
		t.Fatal(err)
	}
	w.PluginClient = dispensed.(proto.PluginClient) //nolint:forcetypeassert // it is client's
	s := services.New(services.Options{Folder: filepath.Join(sockets, "host"), Store: w.store, Mailer: w, Log: slog.New(slog.DiscardHandler)})
	target, token, stop, err := s.Serve("hello", []string{"mail"}, services.SameUser)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	started, err := w.Start(w.within(t), &proto.StartRequest{Plugin: "hello", Edge: "1", Secrets: map[string]string{"S": "secret"}, May: []string{"mail"}, Host: target, Token: token})
	if err != nil || !started.GetWebhooks() || !strings.HasPrefix(started.GetSdk(), sdk) {
		t.Fatalf("it starts with %v, %v\n%s", started, err, w.log.String())
	}
	return w
}

// within is the time that a call has.
func (w *world) within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// Send passes the mail on to the test, which may have it wait.
func (w *world) Send(ctx context.Context, m mail.Message) error {
	w.sent <- m
	if m.Subject != "Wait" {
		return nil
	}
	select {
	case <-w.free:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// client is the plugin as go-plugin wants it.
type client struct{ plugin.NetRPCUnsupportedPlugin }

func (client) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

func (client) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return proto.NewPluginClient(c), nil
}

// identity is a certificate of the curve P-256, and its text.
func identity(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}))
}

// buffer is a log that is written and read at the same time.
type buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
