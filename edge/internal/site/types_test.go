package site

import "testing"

func TestContentHash(t *testing.T) {
	for name, want := range map[string]bool{
		"assets/index-BxY3kQ9z.js":                               true, // Vite
		"assets/index-D-x_9aB2.css":                              true,
		"assets/logo-Dl4kXy_Z.svg":                               true,
		"assets/inter-C8a-Qd1F.woff2":                            true,
		"assets/index-BxY3kQ9z.js.map":                           true,
		"_astro/hoisted.Bx93kQ_z.js":                             true,
		"main-5XKQ2ZTA.js":                                       true, // esbuild, Angular
		"main-ABCDEFGH.js":                                       true,
		"static/js/main.3f2a9c1b.js":                             true, // webpack
		"static/css/main.3f2a9c1b.css.map":                       true,
		"static/media/logo.6ce24c58023cc2f8fd88fe9d219db6c6.svg": true,
		"6ce24c58023cc2f8fd88.woff2":                             true,
		"app.3f2a9c1b.chunk.js":                                  true,

		"index.html":                    false,
		"page-BxY3kQ9z.html":            false,
		"sw.js":                         false,
		"favicon.ico":                   false,
		"photo-BxY3kQ9z.jpg":            false, // where no build tool writes
		"assets/site-settings.js":       false,
		"assets/page-Settings.js":       false,
		"assets/jquery-migrated.js":     false,
		"assets/photo-20240131.jpg":     false,
		"assets/api-version2.js":        false,
		"assets/camera-DSC01234.jpg":    false,
		"assets/cat-my_photo.jpg":       false,
		"assets/app-1a2b.js":            false,
		"assets/BxY3kQ9z.js":            false,
		"lib-deadbeef.js":               false,
		"img/2024-01-31.png":            false,
		"assets/chunk-12345678.js":      false,
		"assets/archive-longername.js":  false,
		".well-known/some-BxY3kQ9z":     false,
		"assets/no-extension-BxY3kQ9z.": true,
	} {
		if got := hasContentHash(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestMediaType(t *testing.T) {
	for name, want := range map[string]string{
		"a.html": "text/html; charset=utf-8", "A.HTML": "text/html; charset=utf-8", "a.mjs": "text/javascript; charset=utf-8",
		"a.css": "text/css; charset=utf-8", "a.json": "application/json", "a.js.map": "application/json", "a.wasm": "application/wasm",
		"site.webmanifest": "application/manifest+json", "a.svg": "image/svg+xml", "a.avif": "image/avif", "a.webp": "image/webp",
		"a.woff2": "font/woff2", "a.ico": "image/x-icon", "a.txt": "text/plain; charset=utf-8", "a.mp4": "video/mp4", "a.pdf": "application/pdf",
		"LICENSE": "application/octet-stream", "a.unknown": "application/octet-stream",
		".well-known/apple-app-site-association": "application/json", ".well-known/security.txt": "text/plain; charset=utf-8",
	} {
		if got, _ := mediaType(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
