//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
	"github.com/onehost/edge/core/webhooks/inbox"
	"github.com/onehost/edge/core/webhooks/signature"
)

// bench runs this one to have a mongod for as long as it needs it: until its standard input ends.
func TestServesAReplicaSetForBench(t *testing.T) {
	if os.Getenv(mongoVariable) == "" {
		t.Skip("SKIPPED: it is for bench, and no test of its own")
	}
	set := mongodbtest.Start(t, mongodbtest.Options{})
	fmt.Printf("uri %s\n", set.URI())
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		t.Error(err)
	}
}

func TestADeliveryIsSignedAndHasAnEventOfItsOwn(t *testing.T) {
	before, after := webhookRequest(hosts[0])
	source, err := signature.New(config.Webhook{Verify: config.Verify{Scheme: "github"}, Secret: webhookSecret}, nil)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for range 3 {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(before + newEvent() + after)))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || len(body) != webhookBody || !json.Valid(body) {
			t.Fatalf("%d bytes, %v", len(body), err)
		}
		event, err := source.Verify(t.Context(), &signature.Request{Method: r.Method, URL: "https://localhost/hooks/github", Header: r.Header, Body: body, At: time.Now()})
		if err != nil || event.Type != "push" || known[event.ID] {
			t.Errorf("%+v %v", event, err)
		}
		known[event.ID] = true
	}
}

func TestABacklogIsTakenTheOldestFirst(t *testing.T) {
	file := filepath.Join(t.TempDir(), "edge.db")
	if n, err := fill(t.Context(), file, "1500"); err != nil || n != 1500 {
		t.Fatal(n, err)
	}
	s, err := openStore(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	box := received(s)
	if n, err := s.Count(t.Context(), inbox.Collection().Name, store.Eq("state", string(inbox.Pending))); err != nil || n != 1500 {
		t.Errorf("%d are pending, %v", n, err)
	}
	var last time.Time
	for range 5 {
		d, err := box.Take(t.Context(), handledSource, time.Minute)
		if err != nil || d.At.Before(last) || len(d.Body) != webhookBody {
			t.Fatalf("%+v after %v, %v", d, last, err)
		}
		last = d.At
	}
	if time.Since(last) < 59*time.Minute {
		t.Errorf("the oldest came at %v", last)
	}
}

func TestStoresAreMeasured(t *testing.T) {
	empty, full := filepath.Join(t.TempDir(), "edge.db"), filepath.Join(t.TempDir(), "edge.db")
	if _, err := insertCopies(t.Context(), empty, "2", "1ms"); err == nil {
		t.Error("copies of nothing are inserted")
	}
	if _, err := fill(t.Context(), full, "1000"); err != nil {
		t.Fatal(err)
	}
	did, err := insertCopies(t.Context(), full, "4", "50ms")
	if err != nil || did.Rate <= 0 || did.CPU <= 0 {
		t.Errorf("%+v %v", did, err)
	}
	c, err := claims(t.Context(), empty, full, "50ms")
	if err != nil || c.Empty <= 0 || c.Full <= 0 {
		t.Errorf("%+v %v", c, err)
	}
}

func TestFindingsAreJudgedByTheirRounds(t *testing.T) {
	for _, c := range []struct {
		aim    aim
		pairs  []pair
		cells  string
		worded verdict
	}{
		{aim{Least: 0.7}, []pair{{80, 100}, {10, 100}, {75, 100}}, "75 /s|100 /s inserts|0.75|≥ 0.70 ×", met},
		{aim{Least: 0.7}, []pair{{50, 100}}, "50 /s|100 /s inserts|0.50|≥ 0.70 ×", over},
		{aim{Least: 0.7}, []pair{{65, 100}}, "65 /s|100 /s inserts|0.65|≥ 0.70 ×", withinNoise},
		{aim{Most: 2}, []pair{{300, 100}}, "300 /s|100 /s inserts|3.00|≤ 2 ×", over},
		{aim{More: 300}, []pair{{500, 250}}, "500 /s|250 /s inserts|+250 /s|≤ 300 /s more", met},
		{aim{More: 300}, []pair{{900, 250}}, "900 /s|250 /s inserts|+650 /s|≤ 300 /s more", over},
	} {
		b := &bench{out: &bytes.Buffer{}}
		for _, p := range c.pairs {
			b.find(finding{Row: "row", What: "what", Beside: "inserts", Unit: "/s", Aim: c.aim}, p.Value, p.Beside)
		}
		if len(b.findings) != 1 {
			t.Fatalf("%d findings", len(b.findings))
		}
		want := "row|what|" + c.cells + "|" + c.worded.String()
		if got := strings.Join(b.findings[0].line(), "|"); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
