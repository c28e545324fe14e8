package pypitest

import (
	"strings"
	"testing"
)

func TestAProcessEndsWithItsInput(t *testing.T) {
	p, err := Start("/bin/sh", "echo first; echo here; cat; echo not for us >&2")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.First(func(line string) bool { return line == "here" }); err != nil {
		t.Error(err)
	}
	p.Close()
	if line, more := <-p.Lines; more {
		t.Error("it said", line)
	}
}

func TestAProcessThatDoesNotStartIsQuoted(t *testing.T) {
	p, err := Start("/bin/sh", "echo no module named moto")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.First(func(string) bool { return false }); err == nil || !strings.Contains(err.Error(), "no module named moto") {
		t.Error(err)
	}
}
