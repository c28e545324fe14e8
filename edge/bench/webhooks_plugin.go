//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/webhooks/dispatch"
	"github.com/onehost/edge/plugins/host"
	"github.com/onehost/edge/plugins/sdk"
)

// Words of the processes that the row about plugins needs, and of the plugin that does nothing.
const (
	callsWord  = "calls"  // TIME FOLDER: measures calls
	bareWord   = "bare"   // FOLDER: serves bare calls of gRPC
	pluginWord = "plugin" // is a plugin
)

// A calling is what calls took, in µs.
type calling struct{ P50, P99, Bare50, Bare99 float64 }

// measurePlugin compares deliveries to a plugin that does nothing with calls of gRPC that do nothing. The plugin and who calls it may use all cores, as they do in service.
func (b *bench) measurePlugin(ctx context.Context) error {
	for round := range b.reps {
		var c calling
		if err := b.askOn(ctx, program{args: []string{callsWord, b.span().String(), b.folder}, cores: &b.cores.all}, &c, b.span()); err != nil {
			return fmt.Errorf("%s: %w", webhooksPlugin, err)
		}
		b.find(finding{Row: webhooksPlugin, What: "p50 of a call", Beside: "bare gRPC", Unit: "µs", Aim: aim{More: 300}}, c.P50, c.Bare50)
		b.find(finding{Row: webhooksPlugin, What: "p99 of a call", Beside: "bare gRPC", Unit: "µs"}, c.P99, c.Bare99)
		fmt.Fprintf(b.log, "round %d/%d  %-16s p50 %.0f µs, of bare gRPC %.0f µs\n", round+1, b.reps, webhooksPlugin, c.P50, c.Bare50)
	}
	return nil
}

// servePlugin is a plugin that does nothing.
func servePlugin(context.Context, []string) error {
	sdk.Serve(sdk.Webhook(func(sdk.Context, *sdk.Delivery) sdk.Result { return sdk.OK() }))
	return nil
}

// noServices are no services: the plugin may do nothing.
type noServices struct{}

func (noServices) Serve(string, []string, int) (target, token string, stop func(), err error) {
	return "unix:/nonexistent", "none", func() {}, nil
}

// measureCalls calls a plugin and a bare server in turns.
func measureCalls(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("%s TIME FOLDER, for bench's own use", callsWord)
	}
	should, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, should+30*time.Second)
	defer cancel()
	plugin, end, err := hostNothing(ctx)
	if err != nil {
		return err
	}
	defer end()
	bare, stop, err := startBare(ctx, args[2])
	if err != nil {
		return err
	}
	defer stop()
	d := one()
	d.Plugin = "nothing"
	ask := &grpc_health_v1.HealthCheckRequest{Service: string(d.Body)}
	var calls, bares []time.Duration
	const warm = 200
	for began, n := time.Now(), 0; time.Since(began) < should; n++ {
		begun := time.Now()
		if o, err := plugin.Handle(ctx, d, 1); err != nil || o.Kind != dispatch.OK {
			return fmt.Errorf("the plugin says %+v: %w", o, err)
		}
		called := time.Now()
		if _, err := bare.Check(ctx, ask); err != nil {
			return err
		}
		if n >= warm {
			calls, bares = append(calls, called.Sub(begun)), append(bares, time.Since(called))
		}
	}
	micros := func(took []time.Duration, share float64) float64 {
		return float64(percentile(took, share).Nanoseconds()) / 1e3
	}
	return json.NewEncoder(os.Stdout).Encode(calling{micros(calls, 0.5), micros(calls, 0.99), micros(bares, 0.5), micros(bares, 0.99)})
}

// hostNothing runs a host with the plugin that does nothing.
func hostNothing(ctx context.Context) (*host.Host, func(), error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	folder, err := os.MkdirTemp("", "h") // short, for the names of sockets
	if err != nil {
		return nil, nil, err
	}
	h := host.New(host.Options{Folder: folder, Services: noServices{}, Version: "bench", Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	plan, err := h.Plan(&config.Config{Plugins: map[string]config.Plugin{"nothing": {Command: self, Args: []string{pluginWord}}}})
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(folder))
	}
	plan.Commit()
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = h.Run(ctx) // what it can't remove goes with the folder
	}()
	return h, func() { cancel(); <-ended; os.RemoveAll(folder) }, awaitPlugin(ctx, h)
}

// awaitPlugin waits until the plugin is of service.
func awaitPlugin(ctx context.Context, h *host.Host) error {
	for {
		if s := h.Status(); len(s) == 1 && s[0].State == host.Running && s[0].PID != 0 {
			return nil
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// bareTerms are those of both sides of a bare call: mutual TLS with one P-256 certificate.
func bareTerms(folder string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	return &tls.Config{
		Certificates: []tls.Certificate{pair}, RootCAs: pool, ServerName: hosts[0], MinVersion: tls.VersionTLS13,
		ClientAuth: tls.RequireAnyClientCert, // the certificate is a server's alone, and what verifying it costs is no part of a call
	}, nil
}

// startBare starts a process that serves bare calls.
func startBare(ctx context.Context, folder string) (grpc_health_v1.HealthClient, func(), error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	terms, err := bareTerms(folder)
	if err != nil {
		return nil, nil, err
	}
	var said tail
	socket := filepath.Join(folder, "bare.sock")
	c, err := start(ctx, program{args: []string{self, bareWord, folder}, folder: folder, out: &said})
	if err != nil {
		return nil, nil, err
	}
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(credentials.NewTLS(terms)))
	if err != nil {
		c.stop()
		return nil, nil, err
	}
	client := grpc_health_v1.NewHealthClient(conn)
	end := func() { conn.Close(); c.stop() }
	if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.WaitForReady(true)); err != nil {
		end()
		return nil, nil, fmt.Errorf("bare gRPC: %w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	return client, end, nil
}

// nothing answers at once.
type nothing struct {
	grpc_health_v1.UnimplementedHealthServer
}

func (nothing) Check(context.Context, *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return &grpc_health_v1.HealthCheckResponse{}, nil
}

// serveBare serves bare calls in a folder until ctx ends.
func serveBare(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("%s FOLDER, for bench's own use", bareWord)
	}
	terms, err := bareTerms(args[1])
	if err != nil {
		return err
	}
	socket := filepath.Join(args[1], "bare.sock")
	ln, err := net.Listen("unix", socket) // which removes its file when it is closed
	if err != nil {
		return err
	}
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(terms)))
	grpc_health_v1.RegisterHealthServer(s, nothing{})
	stop := context.AfterFunc(ctx, s.Stop)
	defer stop()
	return s.Serve(ln)
}
