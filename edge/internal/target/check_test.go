package target

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
)

// What an application sees of a health check, over every way to a target.
func TestChecksOverRealSockets(t *testing.T) {
	for _, scheme := range []string{"http", "https", "h2c", "unix"} {
		t.Run(scheme, func(t *testing.T) {
			closed, seen := make(chan struct{}, 1), make(chan *http.Request, 1)
			app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen <- r
				_, _ = w.Write(make([]byte, 1<<10))
			}))
			app.Config.ConnState = func(_ net.Conn, s http.ConnState) {
				if s == http.StateClosed {
					closed <- struct{}{}
				}
			}
			url := serve(t, app, scheme)
			g := run(t, Options{})
			g.one(group(url)).waitHealthy(t)

			r := <-seen
			host := mustParse(url).Host
			if r.Method != http.MethodGet || r.RequestURI != "/" || r.UserAgent() != "edge-health/1" || r.Host != host {
				t.Errorf("%s %s, %s, Host %s, want %s", r.Method, r.RequestURI, r.UserAgent(), r.Host, host)
			}
			if r.ProtoMajor == 1 && !r.Close {
				t.Error("it did not say that it closes the connection")
			}
			if wantMajor := map[string]int{"http": 1, "https": 1, "h2c": 2, "unix": 1}[scheme]; r.ProtoMajor != wantMajor {
				t.Errorf("spoke %s", r.Proto)
			}
			select {
			case <-closed:
			case <-time.After(5 * time.Second):
				t.Error("the connection stays open after the check")
			}
		})
	}
}

// serve starts an application and returns its URL as a target's.
func serve(t *testing.T, app *httptest.Server, scheme string) string {
	t.Helper()
	t.Cleanup(app.Close)
	switch scheme {
	case "https":
		app.EnableHTTP2 = true
		app.StartTLS()
	case "h2c":
		app.Config.Protocols = new(http.Protocols)
		app.Config.Protocols.SetUnencryptedHTTP2(true)
		app.Start()
		return strings.Replace(app.URL, "http:", "h2c:", 1)
	case "unix":
		socket := filepath.Join(t.TempDir(), "app.sock")
		ln, err := net.Listen("unix", socket)
		must(t, err)
		app.Listener = ln
		app.Start()
		return "unix:" + socket
	default:
		app.Start()
	}
	return app.URL
}

// waitHealthy waits until all of a group's targets are healthy.
func (g *Group) waitHealthy(t *testing.T) {
	t.Helper()
	for _, target := range g.targets {
		select {
		case <-target.ready:
		case <-time.After(10 * time.Second):
			t.Fatalf("%+v", g.groups.Status())
		}
	}
}

func TestPathOfAHealthCheck(t *testing.T) {
	seen := make(chan string, 1)
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.RequestURI }))
	t.Cleanup(app.Close)
	g := run(t, Options{})
	for _, path := range []string{"/_health", "/health?deep=1", "//double", "/a%2Fb"} {
		cfg := group(app.URL)
		cfg.Health.Path = path
		g.Plan(nil).Commit()
		g.Plan(map[string]config.TargetGroup{path: cfg}).Commit()
		if got := <-seen; got != path {
			t.Errorf("asked for %s, want %s", got, path)
		}
	}
}

func TestAnUnverifiedNameIsNotHealthy(t *testing.T) {
	app := httptest.NewUnstartedServer(http.NotFoundHandler())
	app.Config.ErrorLog = log.New(io.Discard, "", 0)
	url := serve(t, app, "https")
	real := mustParse(url).Dial
	var d net.Dialer
	g := run(t, Options{Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return d.DialContext(ctx, network, real)
	}})
	p := g.Plan(map[string]config.TargetGroup{"app": group("https://app.example.net")})
	p.Commit()
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	if not := p.Wait(ctx); len(not) != 1 || !strings.Contains(not[0], "certificate") {
		t.Errorf("%q", not)
	}
}

func TestTLSConfigOfATarget(t *testing.T) {
	verified := map[string]bool{
		"https://app.example.net": true, "https://app.example.net:8443": true, "https://203.0.113.7": true, "https://[2001:db8::7]:443": true,
		"https://localhost:8443": false, "https://app.localhost": false, "https://127.0.0.1": false, "https://[::1]:1": false,
		"https://10.1.2.3": false, "https://192.168.0.9:443": false, "https://[fd00::1]": false, "https://169.254.1.1": false, "https://[::ffff:10.0.0.1]": false,
	}
	for url, want := range verified {
		c := mustParse(url).TLSConfig()
		if c.InsecureSkipVerify == want || c.ServerName == "" || strings.ContainsAny(c.ServerName, "[]") {
			t.Errorf("%s: verified %v, want %v; server name %q", url, !c.InsecureSkipVerify, want, c.ServerName)
		}
	}
	if mustParse("h2c://127.0.0.1:1").TLSConfig() != nil {
		t.Error("TLS without https")
	}
}
