package host

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	lineMost   = 16 << 10 // bytes of a line that are kept
	fieldsMost = 32       // fields of a line that is JSON
	tailMost   = 2 << 10  // bytes that are kept for errors
	panicMost  = 512      // bytes of a panic, after which no more is kept
	linesRate  = 100      // lines in a second that are logged, in the long run; a long one counts as one for each started KiB
	linesBurst = 2000
	sayEvery   = 10 * time.Second // that lines were not logged
)

// output is what a process prints: each line goes to our log. A line of JSON, as hclog, slog and others write it, keeps its level, its fields, and the delivery's id (delivery).
type output struct {
	log    *slog.Logger
	hidden *strings.Replacer // secrets

	mu      sync.Mutex
	tail    []byte // the end of what was printed
	tokens  float64
	filled  time.Time
	dropped int
	said    time.Time // that lines were dropped
	panicks bool      // what is printed is a panic's trace
}

func newOutput(log *slog.Logger, secrets map[string]string) *output {
	return &output{log: log, hidden: hiding(secrets), tokens: linesBurst, filled: time.Now()}
}

// hiding replaces secrets by their names, the longest first: one may be the beginning of another. Short ones are words.
func hiding(secrets map[string]string) *strings.Replacer {
	const short = 6
	names := slices.SortedFunc(maps.Keys(secrets), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(secrets[b]), len(secrets[a])), cmp.Compare(a, b))
	})
	var pairs []string
	for _, name := range names {
		if value := secrets[name]; len(value) >= short {
			pairs = append(pairs, value, "["+name+"]")
		}
	}
	return strings.NewReplacer(pairs...)
}

// printed returns the end of what was printed, for an error; "" if there is nothing.
func (o *output) printed() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.tail) == 0 {
		return "; it printed nothing"
	}
	return fmt.Sprintf("; it printed: %s", strings.TrimSpace(strings.ToValidUTF8(string(o.tail), "�")))
}

// line takes a line.
func (o *output) line(line []byte) {
	line = bytes.TrimRight(line, "\r\n")
	if len(bytes.TrimSpace(line)) == 0 {
		return
	}
	text := o.hidden.Replace(strings.ToValidUTF8(string(line), "�"))
	o.mu.Lock()
	defer o.mu.Unlock()
	e := parseLine(text, o.hidden)
	if !e.json {
		if !o.panicks && (strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ")) {
			o.panicks, o.tail = true, o.tail[:0]
		}
		if o.panicks {
			e.level = slog.LevelError
		}
	}
	o.keep(e)
	if !o.allow(len(text)) {
		return
	}
	attrs := []slog.Attr{slog.String("line", e.text)}
	if e.delivery != "" {
		attrs = append(attrs, slog.String("delivery", e.delivery))
	}
	if len(e.fields) > 0 {
		attrs = append(attrs, slog.Attr{Key: "fields", Value: slog.GroupValue(e.fields...)})
	}
	o.log.LogAttrs(context.Background(), e.level, "plugin printed", attrs...)
}

// keep keeps the end of what is printed; of a panic, after which nothing else comes, the beginning. o.mu is held.
func (o *output) keep(e entry) {
	if e.level <= slog.LevelDebug || o.panicks && len(o.tail) >= panicMost {
		return
	}
	o.tail = append(append(o.tail, e.text...), '\n')
	if over := len(o.tail) - tailMost; over > 0 {
		o.tail = append(o.tail[:0], o.tail[over:]...)
	}
}

// allow reports whether a line of so many bytes may be logged now. o.mu is held.
func (o *output) allow(size int) bool {
	now := time.Now()
	o.tokens = min(linesBurst, o.tokens+now.Sub(o.filled).Seconds()*linesRate)
	o.filled = now
	if o.tokens < 1 {
		o.dropped++
		return false
	}
	o.tokens -= float64(1 + size>>10)
	if o.dropped > 0 && now.Sub(o.said) >= sayEvery {
		o.log.Warn("the plugin prints too much: lines were not logged", "lines", o.dropped)
		o.dropped, o.said = 0, now
	}
	return true
}

// entry is a line as it is logged.
type entry struct {
	level    slog.Level
	text     string
	delivery string
	fields   []slog.Attr
	json     bool
}

// parseLine reads a line: a JSON object of hclog (@message, @level), slog (msg, level) or another with these names, else plain text that may begin with [LEVEL].
func parseLine(line string, hidden *strings.Replacer) entry {
	if strings.HasPrefix(line, "{") {
		if e, ok := parseJSON(line, hidden); ok {
			return e
		}
	}
	if rest, ok := strings.CutPrefix(line, "["); ok {
		if name, text, ok := strings.Cut(rest, "]"); ok {
			if level, ok := levelOf(name); ok {
				return entry{level: level, text: strings.TrimSpace(text)}
			}
		}
	}
	return entry{level: slog.LevelInfo, text: line}
}

func parseJSON(line string, hidden *strings.Replacer) (entry, bool) {
	var object map[string]any
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.UseNumber()
	if decoder.Decode(&object) != nil || decoder.More() {
		return entry{}, false
	}
	object, _ = without(hidden, object).(map[string]any)
	e := entry{level: slog.LevelInfo, json: true}
	found := false
	for _, key := range []string{"@message", "msg", "message"} {
		if text, ok := object[key].(string); ok && !found {
			e.text, found = text, true
			delete(object, key)
		}
	}
	if !found {
		return entry{}, false
	}
	for _, key := range []string{"@level", "level"} {
		if name, ok := object[key].(string); ok {
			if level, ok := levelOf(name); ok {
				e.level = level
				delete(object, key)
			}
		}
	}
	if id, ok := object["delivery"].(string); ok {
		e.delivery = cut(id, 256)
		delete(object, "delivery")
	}
	for _, key := range []string{"@timestamp", "time", "timestamp"} { // ours is near enough
		delete(object, key)
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if len(e.fields) == fieldsMost {
			break
		}
		e.fields = append(e.fields, slog.Any(strings.TrimPrefix(key, "@"), plain(object[key])))
	}
	return e, true
}

// without is a value of JSON without what is hidden: a secret may have been written with escapes, and is only seen now.
func without(hidden *strings.Replacer, v any) any {
	switch v := v.(type) {
	case string:
		return hidden.Replace(v)
	case []any:
		for i := range v {
			v[i] = without(hidden, v[i])
		}
	case map[string]any:
		same := make(map[string]any, len(v))
		for key, value := range v {
			same[hidden.Replace(key)] = without(hidden, value)
		}
		return same
	}
	return v
}

// plain is a value of JSON as one that every handler of slog writes well.
func plain(v any) any {
	switch v := v.(type) {
	case string, bool, nil:
		return v
	case json.Number:
		return v.String()
	default:
		text, err := json.Marshal(v)
		if err != nil {
			return "?"
		}
		return string(text)
	}
}

func levelOf(name string) (slog.Level, bool) {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "trace", "debug":
		return slog.LevelDebug, true
	case "info", "notice":
		return slog.LevelInfo, true
	case "warn", "warning":
		return slog.LevelWarn, true
	case "error", "err", "critical", "fatal", "panic":
		return slog.LevelError, true
	}
	return 0, false
}

// cut is the beginning of a text, of whole characters.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// lines is a stream as lines: what is written is cut at line ends, and what is longer than lineMost is cut short.
type lines struct {
	take func([]byte)

	mu   sync.Mutex
	part []byte
	lost int // bytes of the line that is not whole yet
}

var _ io.Writer = (*lines)(nil)

// Write never fails.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	size := len(p)
	for len(p) > 0 {
		n := bytes.IndexByte(p, '\n')
		piece := p
		if n >= 0 {
			piece = p[:n]
		}
		room := min(len(piece), lineMost-len(l.part))
		l.part = append(l.part, piece[:room]...)
		l.lost += len(piece) - room
		if n < 0 {
			break
		}
		l.emit()
		p = p[n+1:]
	}
	return size, nil
}

// flush ends a line that has no end.
func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.emit()
}

func (l *lines) emit() {
	if l.lost > 0 {
		l.part = fmt.Appendf(l.part, "… and %d bytes more", l.lost)
	}
	if len(l.part) > 0 {
		l.take(l.part)
	}
	l.part, l.lost = l.part[:0], 0
}

// read copies a pipe until it ends.
func (l *lines) read(pipe *os.File) {
	_, _ = io.Copy(l, pipe) // it ends when the process has, or when it is closed
	l.flush()
}
