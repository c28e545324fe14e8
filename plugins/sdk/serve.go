package sdk

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// How edge and a plugin recognise each other: it keeps a person from starting a plugin by mistake, and is no secret.
const (
	cookieName      = "EDGE_PLUGIN"
	cookieValue     = "edge.plugin.v1"
	protocolVersion = 1
)

// Serve is all that a plugin's main does: it serves what it is given until edge ends it, and never returns. Mistakes in what it is given, and a program that a
// person has started by hand, are said on standard error, with exit status 1.
func Serve(options ...Option) {
	p, err := assemble(options)
	switch {
	case err != nil:
		fmt.Fprintf(os.Stderr, "this plugin can't be served: %v\n", err)
	case os.Getenv(cookieName) != cookieValue:
		greet(os.Stderr, filepath.Base(os.Args[0]), p)
	default:
		err = serve(p)
		if err == nil {
			os.Exit(0)
		}
		newLogger(os.Stderr).Error("the plugin ends", "error", err)
	}
	os.Exit(1)
}

// serve takes the process over and serves p until edge ends it.
func serve(p *plugin) error {
	handshake, err := takeStdout()
	if err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	logger := newLogger(os.Stderr)
	slog.SetDefault(logger) // the package log's lines go there as well
	log.SetFlags(0)
	return run(p, logger, handshake)
}

// greet tells a person who has started the program by hand what it is and how to try it.
func greet(w io.Writer, name string, p *plugin) {
	var does []string
	if p.webhook != nil {
		does = append(does, "webhooks")
	}
	for _, job := range p.names() {
		does = append(does, "the job "+job)
	}
	fmt.Fprintf(w, `%[1]s is a plugin of edge. It handles %[2]s.
It is not started by hand: edge starts it. Name it in edge.yaml,

  plugins:
    %[1]s: {command: PATH/TO/%[1]s}

and try it with a webhook from a file (edge webhooks export ID writes one):

  edge plugins test %[1]s EVENT.json
`, name, strings.Join(does, ", "))
}
