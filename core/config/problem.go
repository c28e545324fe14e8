package config

import (
	"fmt"
	"slices"
	"strconv"
)

// A Problem is something wrong, or worth a warning, at a place in a configuration file.
type Problem struct {
	File    string `json:"file"`    // "" if it is of no file
	Line    int    `json:"line"`    // from 1; 0 if it is of no line
	Col     int    `json:"col"`     // from 1, in bytes
	Message string `json:"message"` // says what to do about it
	Warning bool   `json:"warning"` // the configuration may be used all the same

	Withheld bool `json:"withheld,omitempty"` // a secret stands there as it is: the line is not shown
}

// Error makes a Problem an error.
func (p Problem) Error() string {
	message := p.Message
	if p.Warning {
		message = "warning: " + message
	}
	switch {
	case p.File == "":
		return message
	case p.Line == 0:
		return p.File + ": " + message
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Col, message)
}

// Failed reports whether there is more among the problems than warnings.
func Failed(problems []Problem) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return !p.Warning })
}

// places says where in the files each key and value stands, by its path.
//
// A key of a fixed name is placed at its value if that is a scalar, else at itself; an entry of a map is placed at
// its key, an item of a list at itself.
type places map[string]place

type place struct {
	file      string
	line, col int
	secret    bool // the value came from ${…}, so no message may show it
	bad       bool // the value, or something in it, could not be read
	bare      bool // the value is a secret that stands in the file as it is
}

// withheld are the lines that no message shows: a secret stands there as it is, or may do so.
type withheld map[line]bool

type line struct {
	file string
	line int
}

func (w withheld) add(at place) { w[line{at.file, at.line}] = true }

// from returns the problem, without its line if that is withheld.
func (w withheld) from(p Problem) Problem {
	p.Withheld = p.Withheld || w[line{p.File, p.Line}]
	return p
}

func (p place) problem(message string) Problem {
	return Problem{File: p.file, Line: p.line, Col: p.col, Message: message, Withheld: p.bare}
}

func (p place) String() string { return fmt.Sprintf("%s:%d:%d", p.file, p.line, p.col) }

// show quotes a value that stands here, unless it may be a secret.
func (p place) show(value string) string {
	if p.secret {
		return "the value of ${…}"
	}
	return quote(value)
}

// Problem returns a problem at the place of a path such as ("hosts", "example.com", "rules", 0, "path"), or of the
// nearest part of it that stands in a file.
func (c *Config) Problem(message string, path ...any) Problem {
	for n := len(path); n > 0; n-- {
		if p, ok := c.places[pathKey(path[:n]...)]; ok {
			return c.withheld.from(p.problem(message))
		}
	}
	p := Problem{Message: message}
	if len(c.Files) > 0 {
		p.File, p.Line, p.Col = c.Files[0], 1, 1
	}
	return p
}

// Warning returns what Problem does, as a warning.
func (c *Config) Warning(message string, path ...any) Problem {
	p := c.Problem(message, path...)
	p.Warning = true
	return p
}

// Show quotes a value for a message about the path, or, if it came from ${…} and may be a secret, says only that.
func (c *Config) Show(value string, path ...any) string {
	return c.places[pathKey(path...)].show(value)
}

// pathKey joins a path: the key of places.
func pathKey(path ...any) string {
	key := ""
	for _, part := range path {
		switch part := part.(type) {
		case string:
			key += part + "\x00"
		case int:
			key += strconv.Itoa(part) + "\x00"
		default:
			key += fmt.Sprint(part) + "\x00"
		}
	}
	return key
}

// quote shows a text that somebody wrote, on one line and not too long.
func quote(text string) string { return strconv.Quote(clip(text)) }

// clip shortens a text for a message.
func clip(text string) string {
	const most = 80
	n := 0
	for i := range text {
		if n++; n > most {
			return text[:i] + "…"
		}
	}
	return text
}
