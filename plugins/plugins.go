// Package plugins carries what a new plugin is made of: the SDK's sources, so that a plugin builds where this module can't be fetched, and the sample in Python. Package scaffold
// writes them down.
//
// In comes what a plugin author gets from the program itself.
package plugins

import (
	"embed"
	"io/fs"
)

//go:embed sdk internal/proto samples/python
var files embed.FS

// Files are the files of this folder that a new plugin is made of, with the SDK's tests.
func Files() fs.FS { return files }
