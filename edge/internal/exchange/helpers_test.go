package exchange_test

import (
	"io"
	"log"
	"os"
	"testing"
	"unsafe"
)

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }

// stringOf is a string that shares b's memory, as a front's strings share its buffer.
func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func filesIn(t *testing.T, folder string) int {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
