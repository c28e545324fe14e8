package webhooks

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/sqlite"
	"github.com/onehost/edge/core/webhooks/inbox"
	"github.com/onehost/edge/core/webhooks/spool"
)

// childOf is the variable that makes this test binary a process of its own, which receives webhooks into the folder that it names.
const childOf = "EDGE_TEST_WEBHOOKS_FOLDER"

// asChild ends this process with its work, if it is to be another one.
func asChild() {
	if folder := os.Getenv(childOf); folder != "" {
		fmt.Fprintln(os.Stderr, receive(folder))
		os.Exit(1)
	}
}

func openIn(folder string) (*inbox.Inbox, store.Store, *spool.Spool, error) {
	kept, err := sqlite.Open(context.Background(), filepath.Join(folder, "edge.db"), quiet)
	if err != nil {
		return nil, nil, nil, err
	}
	s, err := spool.Open(filepath.Join(folder, "spool"), quiet)
	return inbox.New(inbox.Options{Store: kept, Log: quiet}), kept, s, err
}

// flapping is an inbox whose store is away for 20 calls, and there for 30.
type flapping struct {
	Inbox
	n atomic.Int64
}

func (f *flapping) Keep(ctx context.Context, d inbox.Delivery) (inbox.Delivery, bool, error) {
	if f.n.Add(1)%50 < 20 {
		return inbox.Delivery{}, false, errAway
	}
	return f.Inbox.Keep(ctx, d)
}

func receive(folder string) error {
	kept, _, s, err := openIn(folder)
	if err != nil {
		return err
	}
	h := New(Options{Inbox: &flapping{Inbox: kept}, Spool: s, Log: quiet})
	h.backoff.first = 1
	h.backoff.most = 1000
	p, err := h.Plan(&config.Config{Webhooks: map[string]config.Webhook{"a": github(), "b": github()}})
	if err != nil {
		return err
	}
	p.Commit()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	ended := make(chan error)
	go func() { ended <- h.Run(context.Background()) }()
	go func() { ended <- http.Serve(l, h) }()
	return <-ended
}

// stream sends deliveries until the process is gone, and kills it after some. What was acknowledged is added.
func stream(t *testing.T, cmd *exec.Cmd, address string, round int, acknowledged *sync.Map) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var n atomic.Int64
	var senders sync.WaitGroup
	for sender := range 4 {
		senders.Go(func() {
			source := string("ab"[sender%2])
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d-%d", round, sender, i)
				r := signed(source, id, `{"id":"`+id+`"}`)
				r.RequestURI, r.URL.Scheme, r.URL.Host = "", "http", address
				answer, err := client.Do(r)
				if err != nil {
					return
				}
				answer.Body.Close()
				switch answer.StatusCode {
				case http.StatusOK, http.StatusAccepted:
					acknowledged.Store(source+" "+id, answer.StatusCode)
				default:
					t.Error(answer.Status)
				}
				if n.Add(1) == int64(40+13*round) {
					_ = cmd.Process.Kill()
				}
			}
		})
	}
	senders.Wait()
}

func TestKillingTheProcessLosesNothingThatWasAcknowledged(t *testing.T) {
	folder := t.TempDir()
	var acknowledged sync.Map
	for round := range 10 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childOf+"="+folder)
		cmd.Stderr = t.Output()
		out, err := cmd.StdoutPipe()
		if err = errors.Join(err, cmd.Start()); err != nil {
			t.Fatal(err)
		}
		line := bufio.NewScanner(out)
		if !line.Scan() {
			t.Fatal("it does not begin")
		}
		stream(t, cmd, line.Text(), round, &acknowledged)
		_ = cmd.Wait()
	}
	kept, engine, s, err := openIn(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	defer s.Close()
	left, _ := s.Len()
	h := New(Options{Inbox: kept, Spool: s, Log: quiet})
	if err := s.Drain(t.Context(), h.fetch); err != nil {
		t.Fatal(err)
	}
	there := make(map[string]int)
	for _, d := range allOf(t, engine) {
		there[d.String("source")+" "+d.String("event")]++
	}
	all := map[any]int{}
	acknowledged.Range(func(id, status any) bool {
		all[status]++
		if there[id.(string)] != 1 {
			t.Errorf("%s was acknowledged with %d, and is there %d times", id, status, there[id.(string)])
		}
		return true
	})
	t.Log("acknowledged:", all, "left in the spool:", left)
	if all[200] == 0 || all[202] == 0 {
		t.Error("it was not in doubt")
	}
}

func allOf(t *testing.T, s store.Store) []store.Document {
	t.Helper()
	all, err := s.Find(t.Context(), store.Query{Collection: "deliveries", Fields: []string{"source", "event"}, Limit: store.MaxFind})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
