package mongodbtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	logRead  = 32 << 10 // bytes, from the end of each member's log
	logWidth = 240      // bytes of a line that are shown
)

// endOfLog is the end of a mongod's log, for people: a line for each message, or the line as it is when it's not of the log's format.
// https://www.mongodb.com/docs/manual/reference/log-messages/
func endOfLog(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > logRead {
		_, _ = f.Seek(-logRead, io.SeekEnd) // if it fails, the beginning is shown
	}
	text, err := io.ReadAll(io.LimitReader(f, logRead))
	if err != nil {
		return err.Error()
	}
	var shown strings.Builder
	for line := range bytes.Lines(text) {
		var message struct {
			Time struct {
				Date string `json:"$date"`
			} `json:"t"`
			Severity   string          `json:"s"`
			Component  string          `json:"c"`
			Message    string          `json:"msg"`
			Attributes json.RawMessage `json:"attr"`
		}
		short := string(bytes.TrimSpace(line))
		if json.Unmarshal(line, &message) == nil {
			short = fmt.Sprintf("%s %s %-8s %s %s", message.Time.Date, message.Severity, message.Component, message.Message, message.Attributes)
		}
		shown.WriteString(short[:min(len(short), logWidth)] + "\n")
	}
	return shown.String()
}
