package cert

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A ticketHouse is a TLS server that seals with the keys in a folder, and a visitor who comes again.
type ticketHouse struct {
	t       *testing.T
	dir     string
	server  *tls.Config
	visitor *tls.Config
	log     *bytes.Buffer
}

func newTicketHouse(t *testing.T, version uint16) *ticketHouse {
	h := &ticketHouse{t: t, dir: filepath.Join(t.TempDir(), "keys")}
	h.visitor = &tls.Config{ServerName: "example.com", InsecureSkipVerify: true, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	h.server = &tls.Config{Certificates: []tls.Certificate{newAuthority(t, "ca").serverCertificate("example.com")}}
	h.start()
	return h
}

// start is what a start of edge does; the one before has ended.
func (h *ticketHouse) start() *tickets {
	h.log = new(bytes.Buffer)
	kept := openTickets(h.dir, slog.New(slog.NewTextHandler(h.log, nil)))
	h.server = h.server.Clone()
	kept.serve(h.server)
	kept.renew(time.Now()) // as Run does at once
	return kept
}

// resumes has the visitor come, and reports whether that went on with the session from before.
func (h *ticketHouse) resumes() bool {
	h.t.Helper()
	here, there := net.Pipe()
	go func() {
		s := tls.Server(there, h.server)
		s.Write([]byte("x"))
		there.Close()
	}()
	c := tls.Client(here, h.visitor)
	defer here.Close()
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil { // TLS 1.3 sends its tickets before
		h.t.Fatal(err)
	}
	return c.ConnectionState().DidResume
}

func (h *ticketHouse) file() string { return filepath.Join(h.dir, "tickets") }

func TestSessionsAreResumedAfterARestart(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		h := newTicketHouse(t, version)
		if h.resumes() || !h.resumes() {
			t.Fatal("no resumption without a restart")
		}
		h.start()
		if !h.resumes() {
			t.Error("not resumed after a restart")
		}
		info, err := os.Stat(h.file())
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Error("the keys are not for this user alone:", info, err)
		}
		if h.log.Len() > 0 {
			t.Error(h.log)
		}
	}
}

func TestTicketKeysRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTicketHouse(t, tls.VersionTLS12) // whose tickets are used again and again
		kept := openTickets(h.dir, slog.Default())
		kept.serve(h.server)
		go kept.Run(t.Context())
		after := func(d time.Duration) []ticketKey {
			time.Sleep(d + time.Minute)
			kept.mu.Lock()
			defer kept.mu.Unlock()
			return kept.keys
		}
		h.resumes()
		first := after(23 * time.Hour)
		if len(first) != 1 {
			t.Error("a new key within a day")
		}
		if keys := after(2 * time.Hour); len(keys) != 2 || keys[1] != first[0] {
			t.Error("no new key after a day, or the one before is lost")
		}
		if !h.resumes() {
			t.Error("not resumed after a rotation")
		}
		if n := len(after(30 * 24 * time.Hour)); n != 7 {
			t.Errorf("%d keys after a month", n)
		}
		data, err := os.ReadFile(h.file())
		if err != nil || !bytes.Equal(data, encodeTicketKeys(kept.keys)) {
			t.Error("the file is behind:", err)
		}
	})
}

// TestOldTicketsAreRefused has a visitor whose clock stands still, so that it is the server who refuses.
func TestOldTicketsAreRefused(t *testing.T) {
	for _, tt := range []struct {
		age     time.Duration
		resumed bool
	}{{6*24*time.Hour + 22*time.Hour, true}, {7*24*time.Hour + time.Hour, false}} {
		synctest.Test(t, func(t *testing.T) {
			h := newTicketHouse(t, tls.VersionTLS13)
			now := time.Now()
			h.visitor.Time = func() time.Time { return now }
			h.resumes()
			time.Sleep(tt.age)
			h.start() // reads what is a week old
			if got := h.resumes(); got != tt.resumed {
				t.Errorf("after %v resumed is %v", tt.age, got)
			}
		})
	}
}

func TestUnusableTicketKeysAreReplaced(t *testing.T) {
	good := string(encodeTicketKeys([]ticketKey{{made: time.Now().UTC().Truncate(time.Second)}}))
	for name, tt := range map[string]struct {
		content string
		mode    os.FileMode
	}{
		"empty":              {"", 0o600},
		"cut off":            {good[:len(good)-10], 0o600},
		"foreign":            {"-----BEGIN CERTIFICATE-----\n", 0o600},
		"large":              {good + strings.Repeat("x", 1<<20), 0o600},
		"readable by others": {good, 0o640},
	} {
		t.Run(name, func(t *testing.T) {
			h := newTicketHouse(t, tls.VersionTLS13)
			h.resumes()
			os.WriteFile(h.file(), []byte(tt.content), 0o600)
			os.Chmod(h.file(), tt.mode)
			h.start()
			if !strings.Contains(h.log.String(), "level=WARN") {
				t.Error("nobody hears of it:", h.log)
			}
			if h.resumes() {
				t.Error("resumed with a key that is not to be used")
			}
			h.start()
			if h.log.Len() > 0 || !h.resumes() {
				t.Error("the new keys are not kept:", h.log)
			}
		})
	}
}

func TestKeysFromTheFutureAreDropped(t *testing.T) {
	kept := &tickets{keys: []ticketKey{{made: time.Now().Add(time.Hour)}}}
	if !kept.rotate(time.Now()) || len(kept.keys) != 1 || kept.keys[0].made.After(time.Now()) {
		t.Error(kept.keys)
	}
}

func TestTicketKeysThatCannotBeWrittenServeOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTicketHouse(t, tls.VersionTLS13)
		os.RemoveAll(h.dir)
		os.WriteFile(h.dir, nil, 0o600) // in the folder's place
		kept := h.start()
		kept.renew(time.Now())
		if strings.Count(h.log.String(), "can't be written") != 1 {
			t.Error("said not once:", h.log)
		}
		h.resumes()
		if !h.resumes() {
			t.Error("not resumed")
		}
		os.Remove(h.dir)
		go kept.Run(t.Context())
		synctest.Wait()
		h.start()
		if !h.resumes() {
			t.Error("not written when that was possible again")
		}
	})
}

func FuzzTicketKeys(f *testing.F) {
	made := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	f.Add(encodeTicketKeys([]ticketKey{{made: made}, {made: made.Add(-ticketKeyRotation), key: [32]byte{1}}}))
	f.Add([]byte(ticketsHeader + "\n2026-11-23T10:00:00+01:00 AAAA\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := decodeTicketKeys(data)
		if err == nil && (len(keys) == 0 || !bytes.Equal(encodeTicketKeys(keys), data)) {
			t.Errorf("%q is taken for %v", data, keys)
		}
	})
}
