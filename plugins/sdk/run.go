package sdk

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"os/signal"
	"syscall"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/onehost/edge/plugins/internal/proto"
)

// maxMessage is how many bytes a message between edge and a plugin has at most: the largest body that a source may have, and room to spare.
const maxMessage = 16 << 20

// run serves p with go-plugin, having said on handshake where, until edge or a signal ends it.
//
// It is served in go-plugin's in-process mode. In the other one go-plugin would put pipes into os.Stdout and os.Stderr whose last lines are lost when the
// process ends, and make a certificate for a curve (P-521) that takes long and that not all of TLS knows. What that mode leaves undone is done here: to look
// at the cookie, print the handshake, and not mind an interrupt that was meant for edge.
func run(p *plugin, log *slog.Logger, handshake *os.File) error {
	identity, err := newIdentity([]byte(os.Getenv("PLUGIN_CLIENT_CERT")), time.Now())
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	signal.Ignore(os.Interrupt) // Ctrl-C in edge's terminal reaches its plugins too: it is edge's to end them, when it has drained

	gate := newGate()
	address := make(chan *goplugin.ReattachConfig, 1)
	served := make(chan struct{})
	go goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{ProtocolVersion: protocolVersion, MagicCookieKey: cookieName, MagicCookieValue: cookieValue},
		Plugins:         goplugin.PluginSet{"plugin": service{server: &server{plugin: p, log: log, dial: dialHost}}},
		TLSProvider:     func() (*tls.Config, error) { return identity.config, nil },
		GRPCServer:      gate.newServer,
		Test:            &goplugin.ServeTestConfig{ReattachConfigCh: address, CloseCh: served},
	})
	select {
	case at := <-address:
		_, err = fmt.Fprintf(handshake, "%d|%d|%s|%s|%s|%s\n", goplugin.CoreProtocolVersion, at.ProtocolVersion, at.Addr.Network(), at.Addr, at.Protocol, identity.said)
		if err = errors.Join(err, handshake.Close()); err != nil {
			return fmt.Errorf("handshake: %w", err)
		}
	case <-served:
		return errors.New("no socket could be served, see the lines before")
	}
	select {
	case <-served:
	case <-signals:
		gate.close()
		<-served
	}
	return nil
}

// service puts a server into go-plugin's set.
type service struct {
	goplugin.NetRPCUnsupportedPlugin
	server *server
}

// GRPCServer registers it.
func (s service) GRPCServer(_ *goplugin.GRPCBroker, registrar *grpc.Server) error {
	proto.RegisterPluginServer(registrar, s.server)
	return nil
}

// GRPCClient is the host's side, which is not here.
func (service) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("the host's side is not in the SDK")
}

// dialHost is edge's services for this plugin. No connection is made before the first call; each call carries the token.
func dialHost(target, token string) (proto.HostClient, error) {
	conn, err := grpc.NewClient(target,
		grpc.WithTransportCredentials(insecure.NewCredentials()), // a unix socket that only this user can open
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return invoke(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), method, req, reply, cc, opts...)
		}))
	if err != nil {
		return nil, err
	}
	return proto.NewHostClient(conn), nil
}

// identity is the plugin's certificate for this one life of its process.
type identity struct {
	config *tls.Config
	said   string // the certificate as the handshake has it
}

// newIdentity makes a certificate, and a configuration that talks to the holder of clientCert (PEM) alone.
func newIdentity(clientCert []byte, now time.Time) (*identity, error) {
	edges := x509.NewCertPool()
	if !edges.AppendCertsFromPEM(clientCert) {
		return nil, errors.New("edge has given no certificate of its own in PLUGIN_CLIENT_CERT: without it anybody could talk to the plugin")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: "edge plugin"},
		DNSNames:     []string{"localhost"}, // what go-plugin's client looks for
		NotBefore:    now.Add(-time.Hour), NotAfter: now.AddDate(30, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true, IsCA: true, // it is its own root
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &identity{
		said: base64.RawStdEncoding.EncodeToString(der),
		config: &tls.Config{
			MinVersion:   tls.VersionTLS13,
			Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
			ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: edges,
		},
	}, nil
}
