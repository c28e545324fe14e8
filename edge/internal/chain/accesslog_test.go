package chain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

// parseLine returns what a line of the access log says, and its keys in order.
func parseLine(t testing.TB, line string) (map[string]any, []string) {
	t.Helper()
	if !strings.HasSuffix(line, "}\n") || strings.Count(line, "\n") != 1 {
		t.Fatalf("not one line: %q", line)
	}
	var said map[string]any
	if err := json.Unmarshal([]byte(line), &said); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	var keys []string
	d := json.NewDecoder(strings.NewReader(line))
	for depthless, err := d.Token(); err == nil; depthless, err = d.Token() {
		if key, isKey := depthless.(string); isKey {
			keys = append(keys, key)
			if _, err := d.Token(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return said, keys
}

func loggedExchange() *exchange.Exchange {
	x, _ := exchangetest.New("GET", "https://example.com/a?b=c", exchangetest.Protocol(exchange.HTTP2))
	x.Record = exchange.Record{
		Start: time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.FixedZone("", 3600)), Host: "example.com", Rule: "2",
		Target: "http://127.0.0.1:1337", TargetCode: 200, Connect: 1500 * time.Nanosecond, Wait: 12 * time.Millisecond,
		Transfer: time.Minute, ErrorReason: "client_gone", BytesIn: 7, BytesOut: 1 << 40,
	}
	return x
}

func TestLine(t *testing.T) {
	x := loggedExchange()
	const head = `{"time":"2026-01-02T02:04:05.6789Z","id":"test-request","host":"example.com","method":"GET","path":"/a",`
	const counts = `"status":502,"bytes_in":7,"bytes_out":1099511627776,"duration":3.000001,"client":"192.0.2.1","protocol":"HTTP/2.0"`
	const forwarded = `,"rule":"2","target":"http://127.0.0.1:1337","target_status":200,"connect":0.000001,"wait":0.012000,"transfer":60.000000`
	const reason = `,"error_reason":"client_gone"}` + "\n"
	for _, tt := range []struct {
		name, want string
		query      bool
		change     func()
	}{
		{"forwarded", head + counts + forwarded + reason, false, func() {}},
		{"with query", head + `"query":"b=c",` + counts + forwarded + reason, true, func() {}},
		{"tried again", head + counts + strings.Replace(forwarded, `,"target_status"`, `,"tries":3,"target_status"`, 1) + reason, false, func() { x.Record.Tries = 3 }},
		{"not forwarded", head + counts + `,"rule":"2"` + reason, false, func() { x.Record.Target = "" }},
		{"no rule", head + counts + reason, false, func() { x.Record.Rule = "" }},
		{"nothing wrong", head + counts + "}\n", false, func() { x.Record.ErrorReason = "" }},
	} {
		tt.change()
		if got := string(new(line).of(x, 502, 3*time.Second+1999*time.Nanosecond, tt.query)); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestHostileBytesInTheLog(t *testing.T) {
	for sent, want := range map[string]string{
		"/ü€😀":              "/ü€😀",
		"/\"\\\n\t\x00\x7f": "/\"\\\n\t\x00\x7f",
		"/\xff\xc3":         "/\ufffd\ufffd",
		"/\u2028\u009b2J":   "/\u2028\u009b2J",
	} {
		x := loggedExchange()
		x.RawPath = sent
		line := string(new(line).of(x, 200, 0, false))
		if said, _ := parseLine(t, line); said["path"] != want {
			t.Errorf("%q is logged as %q", sent, said["path"])
		}
		if strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\u009b\x00\n\t\x7f") {
			t.Errorf("%q commands the terminal", line)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add("GET", "/a", "b=c", "example.com", "boom", int64(5))
	f.Add("\x00\xff", "/\"\\", "\u009b\u2028", "\xc3\x28", "", int64(-5))
	f.Fuzz(func(t *testing.T, method, path, query, host, reason string, n int64) {
		x := &exchange.Exchange{ID: query}
		x.Method, x.RawPath, x.RawQuery, x.HasQuery, x.Host = method, path, query, true, host
		x.Record = exchange.Record{Rule: host, Target: path, TargetCode: 1, ErrorReason: reason, Wait: time.Duration(n), BytesIn: n}
		said, keys := parseLine(t, string(new(line).of(x, 200, time.Duration(n), true)))
		for key, sent := range map[string]string{"method": method, "path": path, "query": query, "host": host, "target": path} {
			if want := decoded(t, sent); said[key] != want {
				t.Errorf("%s is %q, want %q", key, said[key], want)
			}
		}
		slices.Sort(keys)
		if len(slices.Compact(keys)) != len(said) {
			t.Errorf("a key twice: %v", keys)
		}
	})
}

// decoded returns what encoding/json makes of s.
func decoded(t testing.TB, s string) (back string) {
	b, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(b, &back)
	}
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// A disk is a writer that can be full, stuck, and cut a write in its middle.
type disk struct {
	mu     sync.Mutex
	got    bytes.Buffer
	space  int // bytes left; -1: no end
	writes int
}

var errFull = errors.New("no space left on device")

func (d *disk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes++
	if d.space < 0 || len(p) <= d.space {
		if d.space > 0 {
			d.space -= len(p)
		}
		return d.got.Write(p)
	}
	n, _ := d.got.Write(p[:d.space])
	d.space = 0
	return n, errFull
}

func (d *disk) setSpace(n int) { d.mu.Lock(); d.space = n; d.mu.Unlock() }

// lines returns the lines on the disk, each of which must be JSON.
func (d *disk) lines(t testing.TB) (all []map[string]any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for line := range strings.SplitAfterSeq(d.got.String(), "\n") {
		if line != "" {
			said, _ := parseLine(t, line)
			all = append(all, said)
		}
	}
	return all
}

// startLog runs a log inside a synctest bubble. stop ends it and returns what Run did.
func startLog(t testing.TB, to io.Writer, c config.Log) (l *AccessLog, problems *bytes.Buffer, stop func() error) {
	problems = new(bytes.Buffer)
	l = NewAccessLog(to, slog.New(slog.NewTextHandler(problems, nil)))
	if err := l.Reopen(c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	return l, problems, func() error { cancel(); return <-done }
}

func TestLogIsWrittenInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{space: -1}
		l, _, stop := startLog(t, d, config.Log{Access: "stdout"})
		l.exchange(loggedExchange(), 200, 0)
		synctest.Wait()
		if d.writes != 0 {
			t.Error("the first line doesn't wait for others")
		}
		l.exchange(loggedExchange(), 200, 0)
		time.Sleep(2 * logGather)
		if n := len(d.lines(t)); n != 2 || d.writes != 1 {
			t.Errorf("%d lines in %d writes", n, d.writes)
		}
		long := loggedExchange()
		long.RawPath = strings.Repeat("/", logBatch)
		l.exchange(long, 200, 0)
		synctest.Wait()
		if d.writes != 2 {
			t.Error("a full batch waits")
		}
		l.exchange(loggedExchange(), 200, 0)
		if err := stop(); err != nil || len(d.lines(t)) != 4 {
			t.Errorf("the last line is not written at the end: %v", err)
		}
	})
}

func TestLogOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{space: -1}
		l, _, stop := startLog(t, d, config.Log{Access: "off"})
		l.exchange(loggedExchange(), 200, 0)
		time.Sleep(time.Second)
		if err := l.Reopen(config.Log{Access: "stdout"}); err != nil {
			t.Error(err)
		}
		l.exchange(loggedExchange(), 201, 0)
		if err := stop(); err != nil {
			t.Error(err)
		}
		if lines := d.lines(t); len(lines) != 1 || lines[0]["status"] != 201.0 {
			t.Error(lines)
		}
	})
}

func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{space: 100} // cuts a line
		l, problems, stop := startLog(t, d, config.Log{Access: "stdout"})
		x := loggedExchange()
		l.bound = 10 * len(new(line).of(x, 200, 0, false))
		l.exchange(x, 200, 0)
		time.Sleep(2 * logGather) // the writer takes it and can't get rid of it
		const fits, more = 1 + 10, 5
		for range fits + more - 1 {
			l.exchange(x, 200, 0)
		}
		if l.Dropped() != more {
			t.Errorf("%d dropped, want %d", l.Dropped(), more)
		}
		time.Sleep(10 * logRetry)
		d.setSpace(-1)
		time.Sleep(2 * logRetry)
		lines := d.lines(t)
		if len(lines) != fits+1 {
			t.Fatalf("%d lines, want %d and the report", len(lines), fits)
		}
		if last := lines[len(lines)-1]; last["dropped"] != float64(more) || last["time"] == "" {
			t.Errorf("the drops are not reported: %v", last)
		}
		if strings.Count(problems.String(), "level=ERROR") != 1 || strings.Count(problems.String(), "level=INFO") != 1 {
			t.Errorf("told: %s", problems)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestFullDiskAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _, stop := startLog(t, &disk{}, config.Log{Access: "stdout"})
		l.exchange(loggedExchange(), 200, 0)
		if err := stop(); !errors.Is(err, errFull) || l.Dropped() != 1 {
			t.Errorf("%v, %d dropped", err, l.Dropped())
		}
	})
}

// stuck is a pipe that nobody reads.
type stuck chan struct{}

func (s stuck) Write(p []byte) (int, error) { <-s; return len(p), nil }

func TestStuckPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := make(stuck)
		l, _, stop := startLog(t, pipe, config.Log{Access: "stdout"})
		x := loggedExchange()
		x.RawPath = strings.Repeat("/", 10_000)
		for range 1000 { // returns although nothing is written
			l.exchange(x, 200, 0)
		}
		time.Sleep(logGather * 2)
		if l.Dropped() == 0 {
			t.Error("nothing is dropped")
		}
		if err := stop(); err == nil {
			t.Error("the end is not told that lines are missing")
		}
		close(pipe) // lets the goroutine end
	})
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	file, moved := filepath.Join(dir, "access.log"), filepath.Join(dir, "access.log.1")
	synctest.Test(t, func(t *testing.T) {
		l, _, stop := startLog(t, nil, config.Log{Access: file})
		l.exchange(loggedExchange(), 200, 0)
		time.Sleep(2 * logGather)
		if err := os.Rename(file, moved); err != nil {
			t.Fatal(err)
		}
		if err := l.Reopen(config.Log{Access: filepath.Join(dir, "absent", "access.log")}); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a folder that is not there: %v", err)
		}
		l.exchange(loggedExchange(), 201, 0)
		time.Sleep(2 * logGather)
		if err := l.Reopen(config.Log{Access: file, Query: true}); err != nil {
			t.Fatal(err)
		}
		l.exchange(loggedExchange(), 202, 0)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
	for name, want := range map[string]string{moved: `"status":200 "status":201`, file: `"query":"b=c" "status":202`} {
		b, err := os.ReadFile(name)
		if got := strings.Join(regexp.MustCompile(`"(status|query)":[^,]+`).FindAllString(string(b), -1), " "); got != want {
			t.Errorf("%s has %s, want %s: %v", filepath.Base(name), got, want, err)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("a file for all to read: %v, %v", info, err)
	}
}

func TestReopenInTheMiddleOfALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := &disk{space: 10}
		l, _, stop := startLog(t, full, config.Log{Access: "stdout"})
		l.exchange(loggedExchange(), 200, 0)
		l.exchange(loggedExchange(), 201, 0)
		time.Sleep(2 * logGather)
		d := &disk{space: -1}
		l.stdout = d
		if err := l.Reopen(config.Log{Access: "stdout"}); err != nil {
			t.Fatal(err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if lines := d.lines(t); len(lines) != 1 || lines[0]["status"] != 201.0 || l.Dropped() != 1 {
			t.Errorf("%v, %d dropped", lines, l.Dropped())
		}
	})
}

func TestWhatIsLogged(t *testing.T) {
	h := newHouse(t, oneHost(), func(x *exchange.Exchange) { _, _ = x.Write([]byte("hello")) })
	if err := h.access.Reopen(config.Log{Access: "stdout"}); err != nil {
		t.Fatal(err)
	}
	logged := func(target string, options ...exchangetest.Option) map[string]any {
		h.access.waiting = nil
		h.ask(target, options...)
		said, _ := parseLine(t, string(h.access.waiting))
		return said
	}
	if said := logged("/x?secret", from("::ffff:192.0.2.9")); said["status"] != 200.0 || said["bytes_out"] != 5.0 || said["client"] != "192.0.2.9" ||
		said["rule"] != "default" || said["query"] != nil || said["duration"].(float64) < 0 {
		t.Error(said)
	}
	if said := logged("https://unknown.example/"); said["status"] != 404.0 || said["host"] != "unknown.example" || said["error_reason"] != "unknown_host" || said["rule"] != nil {
		t.Error(said)
	}
	for reason, err := range map[string]error{"client_gone": exchange.ErrClientGone, "too_slow": exchange.ErrTooSlow, "aborted": io.ErrClosedPipe} {
		h.answer = func(x *exchange.Exchange) { _ = x.Flush(); x.Abort(err) }
		if said := logged("/"); said["error_reason"] != reason || said["status"] != 200.0 {
			t.Error(said)
		}
	}
	h.answer = func(x *exchange.Exchange) { x.Response.Length = 10; _, _ = x.Write([]byte("hello")) }
	if said := logged("/"); said["error_reason"] != "short_answer" || said["bytes_out"] != 5.0 {
		t.Error(said)
	}
}
