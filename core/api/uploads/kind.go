package uploads

import (
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/gabriel-vasile/mimetype"
	"golang.org/x/image/webp"

	"github.com/onehost/edge/core/api/problem"
)

// A kind is what a file's bytes say that it is.
type kind struct {
	media         string // without parameters
	extension     string // with its dot; "" if there is none
	width, height int    // of a picture that can be read; else 0
}

// shown are the extensions of files that a browser shows, with their media types: nothing in them is run. All other files are saved.
var shown = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".avif": "image/avif", ".bmp": "image/bmp",
	".ico": "image/x-icon", ".tiff": "image/tiff", ".tif": "image/tiff", ".heic": "image/heic", ".heif": "image/heif", ".jxl": "image/jxl",
	".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".oga": "audio/ogg", ".wav": "audio/wav", ".flac": "audio/flac", ".m4a": "audio/mp4", ".aac": "audio/aac", ".opus": "audio/ogg",
	".mp4": "video/mp4", ".webm": "video/webm", ".ogv": "video/ogg", ".mov": "video/quicktime", ".m4v": "video/mp4",
	".pdf": "application/pdf",
}

var pictures = map[string]func(io.Reader) (image.Config, error){
	"image/png": png.DecodeConfig, "image/jpeg": jpeg.DecodeConfig, "image/gif": gif.DecodeConfig, "image/webp": webp.DecodeConfig,
}

// inspect reads what a file is, and refuses what it must not be. No picture is decoded.
func (s *state) inspect(f *os.File, name string) (kind, error) {
	found, err := read(f, mimetype.DetectReader)
	if err != nil {
		return kind{}, err
	}
	k := kind{media: bare(found.String()), extension: safe(found.Extension())}
	if claimed := shown[strings.ToLower(filepath.Ext(name))]; claimed != "" && family(claimed) != family(k.media) {
		return kind{}, problem.Validation("%s is not what its name says: it is %s", name, k.media)
	}
	if !s.takes(k.media) {
		return kind{}, problem.Validation("%s is %s, which is not taken: only %s", name, k.media, strings.Join(s.Types, ", "))
	}
	decode := pictures[k.media]
	if decode == nil {
		return k, nil
	}
	c, err := read(f, decode)
	if err != nil {
		return kind{}, problem.Validation("%s is a damaged picture: %v", name, err)
	}
	if c.Height > 0 && c.Width > s.Pixels/c.Height {
		return kind{}, tooLarge("%s has %d × %d pixels: at most %d are taken", name, c.Width, c.Height, s.Pixels)
	}
	k.width, k.height = c.Width, c.Height
	return k, nil
}

// read has a reader see a file from its beginning.
func read[T any](f *os.File, with func(io.Reader) (T, error)) (T, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		var none T
		return none, err
	}
	return with(f)
}

func tooLarge(format string, args ...any) error {
	return &problem.Error{Status: http.StatusRequestEntityTooLarge, Name: "PayloadTooLargeError", Message: fmt.Sprintf(format, args...), Details: problem.None{}}
}

func (s *state) takes(media string) bool {
	if len(s.Types) == 0 {
		return true
	}
	for _, t := range s.Types {
		t = bare(t)
		if of, all := strings.CutSuffix(t, "/*"); t == media || all && strings.HasPrefix(media, of+"/") {
			return true
		}
	}
	return false
}

func bare(media string) string {
	if bare, _, err := mime.ParseMediaType(media); err == nil {
		return bare
	}
	return media
}

// family is what names and bytes have to agree on. Sound and films share their containers; a vector picture is a program.
func family(media string) string {
	of, _, _ := strings.Cut(media, "/")
	switch {
	case media == "image/svg+xml" || of == "application":
		if media == "application/ogg" {
			return "av"
		}
		return media
	case of == "audio" || of == "video":
		return "av"
	}
	return of
}

var extension = regexp.MustCompile(`^\.[a-z0-9]{1,10}$`)

func safe(ext string) string {
	if extension.MatchString(ext) {
		return ext
	}
	return ""
}

// setHeaders says what a browser may do with a file, which never changes.
func setHeaders(h http.Header, name string) {
	media, inline := shown[strings.ToLower(filepath.Ext(name))]
	if !inline {
		media = "application/octet-stream"
		h.Set("Content-Disposition", "attachment")
	}
	h.Set("Content-Type", media)
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
}

// names are what files can be called: those of Strapi's, too.
var names = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,250}$`)

func isName(s string) bool { return names.MatchString(s) }

// hashOf is a name without its extension.
func hashOf(name string) string { return strings.TrimSuffix(name, filepath.Ext(name)) }
