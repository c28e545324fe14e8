// Package services is what a plugin may call of edge's: a small durable store of its own, work that is done once, mail, and the entries of the content API. It serves Host of the
// plugins' protocol, to each plugin process on a socket of its own.
//
//	s := services.New(services.Options{Folder: "/run/edge/plugins", Store: store, Mailer: mailer, Log: log})
//	target, token, stop, err := s.Serve("planner", []string{"mail"}, services.SameUser)
//
// # Who may call
//
// A process is known by the socket that it came by: which plugin it is, and what that may do, was settled when the socket was made, and nothing that is said on it
// changes that. Only the user that the process runs as can connect (and root), and each call has to show the token that only that process was told. Both end
// with stop.
//
// Options.Folder is passable for its owner alone until a plugin runs as another user; then others may pass through it, too, and through the one
// folder in it that has that plugin's socket, but list neither. The socket belongs to that user, with mode 0600, in a folder that stays edge's. Giving it to
// another user takes root (CAP_CHOWN). The folders above Options.Folder have to let the other user pass: this is for whoever makes them.
//
// # Limits
//
// A process has 4 connections with 32 calls each at once; what is more waits on its side. A message has 1 MiB, a call of the store 10 s and mail 75 s, or the
// caller's deadline if that is earlier. A key has 1 to 256 bytes and a value 64 KiB; a plugin has 100,000 keys, and 1,000,000 records of what was done once, or a
// few more when several hosts fill them at one moment. A plugin sends 100 messages an hour on each host.
//
// In come other things of edge's that a plugin may use. How a plugin is started and what it is called with is the business of package host.
package services

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/onehost/edge/core/mail"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/plugins/internal/proto"
	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
)

// SameUser stands for a plugin that runs as edge's own user.
const SameUser = -1

const (
	maxMessage     = 1 << 20  // bytes of a call
	maxHead        = 16 << 10 // bytes of its metadata
	maxConnections = 4        // of one process
	maxStreams     = 16       // calls at once on each of them
	maxSocket      = 107      // bytes of a socket's path (unix(7), less the zero at its end)
	connectWithin  = 5 * time.Second
)

// Mailer sends mail. Its errors have the code fault.Invalid when a message will never be sent, and fault.Unavailable when it is to be tried again.
type Mailer interface {
	Send(ctx context.Context, m mail.Message) error
}

// Options are what Services needs.
type Options struct {
	Folder string // for sockets; made if it is missing. Of this process alone
	Store  store.Store
	Mailer Mailer // nil: mail is refused
	API    API    // nil: there is none
	Log    *slog.Logger
}

// Services serves plugins. Its methods may be called at the same time.
type Services struct {
	folder  string
	mailer  Mailer
	api     API
	log     *slog.Logger
	records *records

	mu     sync.Mutex
	quotas map[string]*quota // by plugin
}

// New returns services that nobody can call before [Services.Serve]. It asks nothing of the store.
func New(o Options) *Services {
	return &Services{
		folder: o.Folder, mailer: o.Mailer, api: o.API, log: o.Log, quotas: make(map[string]*quota),
		records: newRecords(o.Store),
	}
}

// Serve serves one process of a plugin, which may what may says (the configuration's words), until stop is called. The process runs as the user uid, or as edge's own when that
// is [SameUser]. target is what gRPC dials, without TLS, and token what each call carries: authorization: Bearer TOKEN.
//
// stop ends calls under way, waits for them to have ended, and removes the socket. It may be called more than once.
func (s *Services) Serve(plugin string, may []string, uid int) (target, token string, stop func(), err error) {
	folder, listener, err := s.listen(uid)
	if err != nil {
		return "", "", nil, fmt.Errorf("the socket of what the plugin %s may call: %w", plugin, err)
	}
	token = rand.Text()
	gate := newGate(plugin, token, s.log)
	server := grpc.NewServer(
		grpc.UnaryInterceptor(gate.pass),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage), grpc.MaxHeaderListSize(maxHead),
		grpc.MaxConcurrentStreams(maxStreams), grpc.ConnectionTimeout(connectWithin), grpc.WaitForHandlers(true),
	)
	proto.RegisterHostServer(server, &process{
		services: s, plugin: plugin, mail: slices.Contains(may, "mail"),
		read: slices.Contains(may, "entries:read"), write: slices.Contains(may, "entries:write"),
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(netutil.LimitListener(listener, maxConnections)); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			s.log.Error("what a plugin may call is not served any more", "plugin", plugin, "err", err)
		}
	}()
	stop = sync.OnceFunc(func() {
		server.Stop()
		<-ended
		if err := os.RemoveAll(folder); err != nil {
			s.log.Warn("a socket was left behind", "plugin", plugin, "err", err)
		}
	})
	return "unix:" + listener.Addr().String(), token, stop, nil
}

// listen makes a folder with a socket that one user alone can connect to, from its first moment on: nobody can pass the folder before the socket is that user's.
func (s *Services) listen(uid int) (folder string, l net.Listener, err error) {
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return "", nil, err
	}
	if folder, err = os.MkdirTemp(s.folder, ""); err != nil {
		return "", nil, err
	}
	l, err = s.listenIn(folder, uid)
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(folder))
	}
	return folder, l, nil
}

func (s *Services) listenIn(folder string, uid int) (net.Listener, error) {
	path := filepath.Join(folder, "host")
	if len(path) > maxSocket {
		return nil, fmt.Errorf("%s has %d bytes, and a socket's path has %d at most: put the folder elsewhere", path, len(path), maxSocket)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := s.hand(folder, path, uid); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// hand lets a user connect to a socket, and nobody else.
func (s *Services) hand(folder, path string, uid int) error {
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	if uid == SameUser || uid == os.Geteuid() {
		return nil
	}
	if err := os.Lchown(path, uid, -1); err != nil {
		return fmt.Errorf("giving it to another user takes root: %w", err)
	}
	for _, f := range []string{s.folder, folder} {
		if err := os.Chmod(f, 0o711); err != nil {
			return err
		}
	}
	return nil
}

// process is what one process of a plugin is served.
type process struct {
	proto.UnimplementedHostServer
	services *Services
	plugin   string
	mail     bool
	read     bool // entries
	write    bool // and read
}
