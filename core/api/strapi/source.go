package strapi

import (
	"context"
	"io"
	"iter"

	"github.com/onehost/edge/core/api/schema"
)

// A Source is a Strapi's data, which is only read.
type Source struct{}

// Open opens a Strapi: a database file, or a project's folder.
func Open(path string) (*Source, error) { panic("unwritten") }

// Close ends the reading.
func (s *Source) Close() error { panic("unwritten") }

// Types are the content types, and the files to keep them in, by their path below the schemas folder.
func (s *Source) Types(ctx context.Context) (*schema.Set, map[string][]byte, []Problem, error) {
	panic("unwritten")
}

// Records are all roles, users, files and entries; what one refers to may come after it.
func (s *Source) Records(ctx context.Context) iter.Seq2[Record, error] { panic("unwritten") }

// Count is how many records there are of each type, by UID.
func (s *Source) Count(ctx context.Context) (map[string]int, error) { panic("unwritten") }

// Permissions are what each role may do, as the lines of api.permissions in edge.yaml.
func (s *Source) Permissions(ctx context.Context) ([]byte, error) { panic("unwritten") }

// Left says what is not taken over.
func (s *Source) Left(ctx context.Context) ([]Problem, error) { panic("unwritten") }

// A File is an uploaded file.
type File struct {
	Name string // as in its address, /uploads/NAME
	Size int64  // bytes
	Open func() (io.ReadCloser, error)
}

// Files are the uploaded files that lie in the project's folder, with their smaller pictures.
func (s *Source) Files(ctx context.Context) iter.Seq2[File, error] { panic("unwritten") }
