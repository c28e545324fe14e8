package sdk

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// maxLine is how many bytes a line of the log may have: edge reads no longer ones (go-plugin's buffer has 64 KiB).
const maxLine = 60 << 10

// lines is a slog.Handler that writes a line as edge reads them: JSON in go-hclog's form, with @level, @message and @timestamp. Names that mean something
// there are not left to attributes: an @level that is a number would be more than the reader bears.
type lines struct {
	slog.Handler
	nested bool // in a group, where attributes can have any name
}

// newLogger is a logger that writes to w.
func newLogger(w io.Writer) *slog.Logger {
	return slog.New(lines{Handler: slog.NewJSONHandler(short{w}, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: named})})
}

// named gives what a line begins with hclog's names. It is the handler's own, as far as it has the handler's own kind: attributes by these names were renamed.
func named(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.TimeKey:
		return slog.String("@timestamp", a.Value.Time().UTC().Format("2006-01-02T15:04:05.000000Z07:00"))
	case slog.LevelKey:
		level, _ := a.Value.Any().(slog.Level)
		return slog.String("@level", levelName(level))
	case slog.MessageKey:
		a.Key = "@message"
	}
	return a
}

// levelName is go-hclog's name of a level.
func levelName(level slog.Level) string {
	switch {
	case level < slog.LevelInfo:
		return "debug"
	case level < slog.LevelWarn:
		return "info"
	case level < slog.LevelError:
		return "warn"
	}
	return "error"
}

// Handle writes r.
func (l lines) Handle(ctx context.Context, r slog.Record) error {
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	if l.nested {
		return l.Handler.Handle(ctx, r)
	}
	clean := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(free(a))
		return true
	})
	return l.Handler.Handle(ctx, clean)
}

// WithAttrs is a handler that writes them in each line.
func (l lines) WithAttrs(attrs []slog.Attr) slog.Handler {
	if !l.nested {
		renamed := make([]slog.Attr, len(attrs))
		for i, a := range attrs {
			renamed[i] = free(a)
		}
		attrs = renamed
	}
	return lines{Handler: l.Handler.WithAttrs(attrs), nested: l.nested}
}

// WithGroup is a handler that puts what comes into a group.
func (l lines) WithGroup(name string) slog.Handler {
	if name == "" {
		return l
	}
	return lines{Handler: l.Handler.WithGroup(free(slog.Attr{Key: name}).Key), nested: true}
}

// free is the attribute by a name that is free: with a "_" behind it, when the line has its own field by that name.
func free(a slog.Attr) slog.Attr {
	switch a.Key {
	case slog.TimeKey, slog.LevelKey, slog.MessageKey, "@timestamp", "@level", "@message":
		a.Key += "_"
	case "": // a group without a name: its attributes stand beside the others
		if v := a.Value.Resolve(); v.Kind() == slog.KindGroup {
			inner := make([]slog.Attr, 0, len(v.Group()))
			for _, b := range v.Group() {
				inner = append(inner, free(b))
			}
			a.Value = slog.GroupValue(inner...)
		}
	}
	return a
}

// short writes lines that are not too long, and of one that is its beginning, as a message.
type short struct{ w io.Writer }

// Write writes the line p.
func (s short) Write(p []byte) (int, error) {
	if len(p) <= maxLine {
		return s.w.Write(p)
	}
	line := slog.NewJSONHandler(s.w, &slog.HandlerOptions{ReplaceAttr: named})
	r := slog.NewRecord(time.Now(), slog.LevelWarn, fmt.Sprintf("a line of the log had %d bytes, %d are allowed; it began with: %s", len(p), maxLine, cut(string(p), 8<<10)), 0)
	return len(p), line.Handle(context.Background(), r)
}
