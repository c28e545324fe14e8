package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// logged is the one line that fn logs, decoded.
func logged(t *testing.T, fn func(*slog.Logger)) map[string]any {
	t.Helper()
	var out bytes.Buffer
	fn(newLogger(&out))
	if bytes.Count(out.Bytes(), []byte("\n")) != 1 || out.Len() > maxLine {
		t.Fatalf("%d bytes: %.200s", out.Len(), &out)
	}
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"@level", "@message", "@timestamp"} {
		if _, ok := line[name].(string); !ok {
			t.Fatalf("%s is no string: %v", name, line)
		}
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000000Z07:00", line["@timestamp"].(string)); err != nil {
		t.Fatal(err)
	}
	return line
}

func TestALineIsAsGoHclogWritesIt(t *testing.T) {
	line := logged(t, func(log *slog.Logger) {
		log.With("delivery", "d1").Warn("careful", "error", errors.New("why"), slog.Group("g", "level", 1))
	})
	if line["@level"] != "warn" || line["@message"] != "careful" || line["delivery"] != "d1" || line["error"] != "why" || line["g"].(map[string]any)["level"] != 1.0 {
		t.Errorf("got %v", line)
	}
}

func TestLevelsHaveGoHclogsNames(t *testing.T) {
	for level, want := range map[slog.Level]string{slog.LevelDebug: "debug", slog.LevelInfo: "info", slog.LevelInfo + 1: "info", slog.LevelWarn: "warn", slog.LevelError: "error", 12: "error"} {
		line := logged(t, func(log *slog.Logger) { log.Log(t.Context(), level, "m") })
		if line["@level"] != want {
			t.Errorf("%v: %v", level, line["@level"])
		}
	}
}

func TestAnAttributeNeverTakesTheLinesOwnFields(t *testing.T) {
	line := logged(t, func(log *slog.Logger) {
		log.With("msg", 1, "@level", 2).Info("m", "time", 3, "level", 4, slog.Group("", "@message", 5), "@timestamp", 6)
	})
	if line["@message"] != "m" || line["@level"] != "info" || line["msg_"] != 1.0 || line["@level_"] != 2.0 || line["time_"] != 3.0 || line["level_"] != 4.0 || line["@message_"] != 5.0 || line["@timestamp_"] != 6.0 {
		t.Errorf("got %v", line)
	}
	line = logged(t, func(log *slog.Logger) { log.WithGroup("@level").With("msg", 1).Info("m", "time", 2) })
	if g, _ := line["@level_"].(map[string]any); line["@level"] != "info" || g["msg"] != 1.0 || g["time"] != 2.0 {
		t.Errorf("got %v", line)
	}
}

func TestALineThatEdgeWouldNotReadIsCut(t *testing.T) {
	for _, long := range []string{strings.Repeat("x", 1<<20), strings.Repeat("\x00", maxLine)} {
		line := logged(t, func(log *slog.Logger) { log.Info("m", "long", long) })
		if line["@level"] != "warn" || !strings.Contains(line["@message"].(string), "bytes") {
			t.Errorf("got %v", line)
		}
	}
}

func FuzzALineIsRead(f *testing.F) {
	f.Add("m", "key", "value", "group")
	f.Add("", "@level", "\xff", "")
	f.Add("m", "msg", "x", "time")
	f.Fuzz(func(t *testing.T, message, key, value, group string) {
		logged(t, func(log *slog.Logger) {
			log.With(key, value).WithGroup(group).With(key, 1).Info(message, key, value, slog.Group(group, key, value))
		})
	})
}
