package forms

import (
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// checkFile says what is wrong with a file. What it is, its first bytes say (WHATWG MIME Sniffing): a program that calls itself image/png is none.
//
// Types that bytes don't tell, such as text/csv or a spreadsheet (which is a ZIP file), are believed of a file that looks like what they are made of.
func (r *rule) checkFile(f *file) string {
	switch {
	case r.Size > 0 && int64(len(f.data)) > int64(r.Size):
		return fmt.Sprintf("Choose a file of at most %s.", bytesText(int64(r.Size)))
	case len(r.Accept) == 0:
		return ""
	}
	seen := sniff(f.data)
	if r.accepts(seen) || vague(seen) && !telling(f.media) && r.accepts(f.media) {
		return ""
	}
	return "Choose a file of one of these types: " + strings.Join(r.Accept, ", ") + "."
}

func (r *rule) accepts(media string) bool {
	return slices.ContainsFunc(r.Accept, func(accept string) bool {
		accept, _, err := mime.ParseMediaType(accept)
		if group, whole := strings.CutSuffix(accept, "/*"); whole {
			return err == nil && strings.HasPrefix(media, group+"/")
		}
		return err == nil && accept == media
	})
}

// sniff returns the media type of a file by its bytes, without parameters.
func sniff(data []byte) string {
	media, _, _ := strings.Cut(http.DetectContentType(data), ";")
	return media
}

// vague reports whether a sniffed type says only what a file is made of.
func vague(media string) bool {
	switch media {
	case "application/octet-stream", "text/plain", "text/xml", "application/zip":
		return true
	}
	return false
}

// telling reports whether files of a type would have been known by their bytes.
func telling(media string) bool {
	switch media {
	case "text/html", "text/xml", "application/pdf", "application/postscript", "application/zip", "application/x-gzip", "application/x-rar-compressed",
		"application/wasm", "application/vnd.ms-fontobject", "application/ogg",
		"image/x-icon", "image/bmp", "image/gif", "image/webp", "image/png", "image/jpeg",
		"audio/basic", "audio/aiff", "audio/mpeg", "audio/midi", "audio/wave", "video/avi", "video/mp4", "video/webm",
		"font/ttf", "font/otf", "font/collection", "font/woff", "font/woff2":
		return true
	}
	return false
}
