package site

import (
	"regexp"
	"strings"
)

// mediaType returns the Content-Type of a file by its extension, and whether content of that type is worth compressing.
// The table is part of the program, so that a site is the same on every machine.
//
// Text is in UTF-8, as every build tool writes it. What has a declaration of its own (XML) or is UTF-8 by definition (JSON)
// gets no charset. A file below /.well-known/ has no extension by its specification; most of them are JSON.
func mediaType(name string) (contentType string, compressible bool) {
	ext := extension(name)
	if t := textType(ext); t != "" {
		return t, true
	}
	if t := packedType(ext); t != "" {
		return t, false
	}
	if ext == "" && strings.HasPrefix(name, ".well-known/") {
		return "application/json", true
	}
	return "application/octet-stream", false
}

// textType returns the type of what compresses well.
func textType(ext string) string {
	switch ext {
	case ".html", ".htm":
		return "text/html; charset=utf-8"
	case ".js", ".mjs", ".cjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".txt", ".text", ".log":
		return "text/plain; charset=utf-8"
	case ".md":
		return "text/markdown; charset=utf-8"
	case ".csv":
		return "text/csv; charset=utf-8"
	case ".vtt":
		return "text/vtt; charset=utf-8"
	case ".ics":
		return "text/calendar; charset=utf-8"
	case ".vcf":
		return "text/vcard; charset=utf-8"
	case ".json", ".map":
		return "application/json"
	case ".jsonld":
		return "application/ld+json"
	case ".geojson":
		return "application/geo+json"
	case ".webmanifest":
		return "application/manifest+json"
	case ".xml", ".xsl":
		return "application/xml"
	case ".xhtml":
		return "application/xhtml+xml"
	case ".rss":
		return "application/rss+xml"
	case ".atom":
		return "application/atom+xml"
	case ".svg":
		return "image/svg+xml"
	case ".ico":
		return "image/x-icon"
	case ".bmp":
		return "image/bmp"
	case ".wasm":
		return "application/wasm"
	case ".ttf":
		return "font/ttf"
	case ".otf":
		return "font/otf"
	case ".gltf":
		return "model/gltf+json"
	case ".glb":
		return "model/gltf-binary"
	case ".yaml", ".yml":
		return "application/yaml"
	case ".m3u8":
		return "application/vnd.apple.mpegurl"
	}
	return ""
}

// packedType returns the type of what is compressed already.
func packedType(ext string) string {
	switch ext {
	case ".png", ".apng":
		return "image/" + ext[1:]
	case ".jpg", ".jpeg", ".jfif":
		return "image/jpeg"
	case ".gif", ".webp", ".avif", ".jxl", ".heic":
		return "image/" + ext[1:]
	case ".tif", ".tiff":
		return "image/tiff"
	case ".woff", ".woff2":
		return "font/" + ext[1:]
	case ".mp4", ".webm":
		return "video/" + ext[1:]
	case ".m4v":
		return "video/mp4"
	case ".mov":
		return "video/quicktime"
	case ".ogv":
		return "video/ogg"
	case ".mp3":
		return "audio/mpeg"
	case ".m4a":
		return "audio/mp4"
	case ".ogg", ".oga", ".opus":
		return "audio/ogg"
	case ".wav", ".flac", ".aac":
		return "audio/" + ext[1:]
	case ".pdf":
		return "application/pdf"
	case ".zip":
		return "application/zip"
	case ".gz", ".tgz":
		return "application/gzip"
	case ".epub":
		return "application/epub+zip"
	}
	return ""
}

// Values of Cache-Control.
const (
	// forever is for a file whose name changes with its content.
	forever = "public, max-age=31536000, immutable"
	// revalidate is for all others: kept, but asked for with its ETag each time, which costs an answer without a body.
	// A max-age would leave visitors with an old file for that long after a release.
	revalidate = "no-cache"
)

func cacheControl(name string) string {
	if hasContentHash(name) {
		return forever
	}
	return revalidate
}

var (
	// hexHash is webpack's and Parcel's: 8 or more hexadecimal digits between separators, or as the whole name.
	hexHash = regexp.MustCompile(`(?:^|[-._~])([0-9a-f]{8,64})(?:[-._]|$)`)
	// shortHash is Vite's, Rollup's and esbuild's: 8 characters of base64url or base32 at the end, after a separator.
	shortHash = regexp.MustCompile(`[-.]([0-9A-Za-z_-]{8})$`)
	// word is what people put at the end of a name: settings, Settings, version2, 20240131, my_photo, DSC01234.
	word = regexp.MustCompile(`^(?:[A-Z]?[a-z_-]*[0-9_-]*|[A-Z]{1,7}[0-9]+)$`)
	// buildFolder is where build tools put hashed files, images and fonts among them.
	buildFolder = regexp.MustCompile(`(?:^|/)(?:assets|static|build|chunks|immutable|media|js|css|fonts|_next|_nuxt|_astro|_app)/`)
)

// hasContentHash reports whether a file's name carries a hash of its content, as build tools name what they emit.
//
// To take a name for hashed that is not would leave visitors with an old file for a year, so a hash has to look like one:
// digits and letters for hexadecimal; anything but a word for eight characters of base64, and that only of scripts and styles
// or in a folder that build tools write to. A page is never taken for hashed: its address has to stay.
func hasContentHash(name string) bool {
	ext := extension(name)
	if ext == ".html" || ext == ".htm" || ext == ".xhtml" {
		return false
	}
	folder, base := name[:strings.LastIndexByte(name, '/')+1], name[strings.LastIndexByte(name, '/')+1:]
	stem := strings.TrimSuffix(base, base[len(base)-len(ext):])
	code := ext == ".js" || ext == ".mjs" || ext == ".css"
	if ext == ".map" { // of index-BxY3kQ9z.js
		code = true
		stem = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(stem, ".js"), ".mjs"), ".css")
	}
	if m := hexHash.FindStringSubmatch(stem); m != nil && strings.ContainsAny(m[1], "0123456789") && strings.ContainsAny(m[1], "abcdef") {
		return true
	}
	m := shortHash.FindStringSubmatch(stem)
	return m != nil && !word.MatchString(m[1]) && (code || buildFolder.MatchString(folder))
}
