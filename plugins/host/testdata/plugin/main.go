// Command plugin is a plugin by go-plugin for the host's tests, good or bad as MODE says, that does what deliveries tell it to.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/onehost/edge/plugins/internal/proto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

func main() {
	version := uint(1)
	switch os.Getenv("MODE") {
	case "noisy":
		fmt.Println("hello from an import | with bars")
	case "dies":
		fmt.Fprintln(os.Stderr, "no database, my key is a secret value")
		os.Exit(3)
	case "silent":
		fmt.Println("still compiling")
		time.Sleep(time.Hour)
	case "stopped":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case "version2":
		version = 2
	case "plain":
		_ = os.Unsetenv("PLUGIN_CLIENT_CERT")
	case "impostor":
		impostor()
	}
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{ProtocolVersion: version, MagicCookieKey: "EDGE_PLUGIN", MagicCookieValue: "edge.plugin.v1"},
		Plugins:         goplugin.PluginSet{"plugin": served{}},
		GRPCServer: func(o []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(o, grpc.MaxRecvMsgSize(16<<20))...)
		},
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr, JSONFormat: true}),
	})
}

// impostor says another certificate than that of who serves.
func impostor() {
	read, write, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	stdout := os.Stdout
	os.Stdout = write
	go func() {
		line := make([]byte, 4096)
		n, _ := read.Read(line)
		parts := strings.Split(strings.TrimSpace(string(line[:n])), "|")
		other, _ := pem.Decode([]byte(os.Getenv("PLUGIN_CLIENT_CERT"))) // any but its own
		parts[5] = base64.RawStdEncoding.EncodeToString(other.Bytes)
		fmt.Fprintln(stdout, strings.Join(parts, "|"))
	}()
}

type served struct {
	goplugin.NetRPCUnsupportedPlugin
}

func (served) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	proto.RegisterPluginServer(s, &handler{})
	return nil
}

func (served) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("not here")
}

type handler struct {
	proto.UnimplementedPluginServer
	start *proto.StartRequest
}

func (h *handler) Start(_ context.Context, r *proto.StartRequest) (*proto.StartResponse, error) {
	h.start = r
	switch os.Getenv("MODE") {
	case "refuses":
		return nil, errors.New("the secret STRIPE is missing, KEY is " + r.GetSecrets()["KEY"])
	case "ends in start":
		os.Exit(4)
	}
	return &proto.StartResponse{Sdk: "go test" + mark(), Webhooks: os.Getenv("MODE") != "no webhooks", Jobs: []string{"reconcile"}}, nil
}

// mark is what this program ends with, if it is one that build has made.
func mark() string {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	_, _ = f.Seek(-16, io.SeekEnd)
	end, _ := io.ReadAll(f)
	_, m, _ := strings.Cut(string(end), "mark:")
	return m
}

func (h *handler) HandleWebhook(ctx context.Context, d *proto.Delivery) (*proto.Outcome, error) {
	verb, rest, _ := strings.Cut(string(d.GetBody()), " ")
	switch verb {
	case "skip":
		return &proto.Outcome{Kind: proto.Outcome_SKIP, Reason: rest}, nil
	case "fail":
		return &proto.Outcome{Kind: proto.Outcome_FAIL, Reason: rest}, nil
	case "retry":
		return &proto.Outcome{Kind: proto.Outcome_RETRY, Reason: rest, After: durationpb.New(time.Minute)}, nil
	case "error":
		return nil, errors.New(rest)
	case "unavailable":
		return nil, status.Error(codes.Unavailable, rest)
	case "die":
		os.Exit(3)
	case "panic":
		go panic("at the disco")
		<-ctx.Done()
	case "wait":
		slog.New(slog.NewJSONHandler(os.Stderr, nil)).Warn("waiting "+rest, "delivery", d.GetId(), "n", 1)
		<-ctx.Done()
		fmt.Fprintln(os.Stderr, "cancelled "+rest)
		return nil, ctx.Err()
	case "take":
		pause, _ := time.ParseDuration(rest)
		time.Sleep(pause)
	case "stop":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		time.Sleep(time.Hour)
	case "eat":
		eat()
	case "print":
		fmt.Println(rest)
	case "echo":
		return answer(fmt.Sprint(d))
	case "start":
		return answer(fmt.Sprint(h.start))
	case "env":
		return answer(strings.Join(os.Environ(), "\n"))
	case "self":
		return answer(self())
	case "spawn":
		return spawn(strings.Fields(rest)...)
	case "header":
		return &proto.Outcome{Kind: proto.Outcome_OK, Answer: &proto.Answer{Header: []*proto.Field{{Name: "X", Value: rest}}}}, nil
	}
	return &proto.Outcome{Kind: proto.Outcome_OK}, nil
}

func answer(text string) (*proto.Outcome, error) {
	return &proto.Outcome{Kind: proto.Outcome_OK, Answer: &proto.Answer{Status: 201, Header: []*proto.Field{{Name: "Content-Type", Value: "text/plain"}}, Body: []byte(text)}}, nil
}

func (h *handler) RunJob(_ context.Context, r *proto.Run) (*proto.Outcome, error) {
	return &proto.Outcome{Kind: proto.Outcome_SKIP, Reason: r.String()}, nil
}

// eat takes memory until it is ended.
func eat() {
	var all [][]byte
	for {
		piece := make([]byte, 8<<20)
		for i := 0; i < len(piece); i += 4096 {
			piece[i] = 1
		}
		all = append(all, piece)
		time.Sleep(time.Millisecond)
		_ = all
	}
}

// spawn starts a process that stays, and answers with its id.
func spawn(how ...string) (*proto.Outcome, error) {
	cmd := exec.Command("/bin/sleep", "1000")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if len(how) > 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return answer(strconv.Itoa(cmd.Process.Pid))
}

// self is what a process can say of how it was started.
func self() string {
	stdin, _ := os.Readlink("/proc/self/fd/0")
	exe, _ := os.Readlink("/proc/self/exe")
	folder, _ := os.Getwd()
	group, _ := syscall.Getpgid(0)
	groups, _ := os.Getgroups()
	sockets, _ := os.Stat(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"))
	state, _ := os.ReadFile("/proc/self/status")
	text, _ := json.Marshal(map[string]any{
		"stdin": stdin, "exe": exe, "folder": folder, "args": os.Args, "leader": group == os.Getpid(), "uid": os.Getuid(), "gid": os.Getgid(), "groups": groups,
		"sockets": sockets.Mode().String(), "privileges": !strings.Contains(string(state), "NoNewPrivs:\t1"),
	})
	return string(text)
}
