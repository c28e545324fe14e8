package config

import "fmt"

// A Problem is something wrong, or worth a warning, at a place in a configuration file.
type Problem struct {
	File    string // "" if it is of no file
	Line    int    // from 1; 0 if it is of no line
	Col     int    // from 1, in bytes
	Message string // says what to do about it
	Warning bool   // the configuration may be used all the same
}

// Error makes a Problem an error.
func (p Problem) Error() string {
	if p.File == "" {
		return p.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Col, p.Message)
}

// places says where in the files each key and value stands, by its path.
type places map[string]place

type place struct {
	file      string
	line, col int
}

// Problem returns a problem at the place of a path such as ("hosts", "example.com", "rules", 0, "path"), or of the
// nearest part of it that stands in a file.
func (c *Config) Problem(message string, path ...any) Problem {
	for n := len(path); n > 0; n-- {
		if p, ok := c.places[pathKey(path[:n])]; ok {
			return Problem{File: p.file, Line: p.line, Col: p.col, Message: message}
		}
	}
	p := Problem{Message: message}
	if len(c.Files) > 0 {
		p.File, p.Line, p.Col = c.Files[0], 1, 1
	}
	return p
}

func pathKey(path []any) string {
	key := ""
	for _, part := range path {
		key += fmt.Sprint(part) + "\x00"
	}
	return key
}
