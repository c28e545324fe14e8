// Package web holds the small web app that edge shows until there is another one, as it was built.
//
// In comes the built app and nothing of how it is served. Its source is in app; `npm ci && npm run build` there builds
// app/dist, which is committed so that `go install` needs no Node.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:app/dist
var dist embed.FS

// App returns the files of the built web app: index.html and what it refers to.
func App() fs.FS {
	app, err := fs.Sub(dist, "app/dist")
	if err != nil {
		panic(err) // the name is valid
	}
	return app
}
