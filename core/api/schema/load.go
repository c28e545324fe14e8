package schema

import "fmt"

// A Problem is something wrong, or worth a warning, at a place in a file of content types.
type Problem struct {
	File      string
	Line, Col int    // from 1, Col in bytes; 0 if it is of no line
	Message   string // says what to do about it
	Warning   bool   // the content types may be used all the same
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

// Load reads the content types of a folder.
func Load(folder string, locales []string) (*Set, []Problem) { panic("unwritten") }
