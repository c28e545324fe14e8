// Package uploads takes files, keeps them on a disk or in S3, and serves them again. What is known of a file is an entry of the type file.
//
// Nobody is trusted with what a file is: its type is what its bytes say, its name in the address is random, and what a browser could run is never shown, only
// saved. Bytes are kept as they came: a picture that tells where it was taken (EXIF) still does.
//
// In comes what a file is and where it lies. Who may do what with it, access says; how its entry looks in an answer, wire.
package uploads

import (
	"context"
	"io"
	"log/slog"
	"net/http"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/config"
)

// Options are what files need.
type Options struct {
	Log *slog.Logger
}

// Uploads are the files of an api.
type Uploads struct{}

// New makes uploads, which take nothing before Use.
func New(o Options) *Uploads { panic("unwritten") }

// Use has the next requests follow a configuration and a set of types. A bucket that can't be used is an error.
func (u *Uploads) Use(ctx context.Context, c config.APIUploads, set *schema.Set) error {
	panic("unwritten")
}

// Run removes what requests that did not come to their end have left, until ctx ends.
func (u *Uploads) Run(ctx context.Context) error { panic("unwritten") }

// Upload answers POST /upload, and with ?id=N the change of one file. It returns documentIds of the files: in an answer they are
// a list, or alone when one is true.
func (u *Uploads) Upload(w http.ResponseWriter, r *http.Request, c access.Caller, s access.Scope) (files []string, one bool, err error) {
	panic("unwritten")
}

// ServeFile answers GET and HEAD /uploads/NAME.
func (u *Uploads) ServeFile(w http.ResponseWriter, r *http.Request, name string) error {
	panic("unwritten")
}

// Import keeps a file under its old name, when it isn't there yet. It reports whether it was not.
func (u *Uploads) Import(ctx context.Context, name string, size int64, from io.Reader) (bool, error) {
	panic("unwritten")
}
