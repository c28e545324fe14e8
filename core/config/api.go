package config

import (
	"path/filepath"
	"time"
)

// API is the content API: content types, and who may do what with their entries.
type API struct {
	Schemas      string               `yaml:"schemas,required" is:"file" doc:"Folder with the content types: every Strapi schema.json, NAME.json or NAME.yaml below it."`
	Prefix       string               `yaml:"prefix" is:"path" default:"/api" doc:"The path before all others. It is matched on the full path of a request."`
	Permissions  map[string][]string  `yaml:"permissions" keys:"word" is:"permission" doc:"What each role may do: TYPE.ACTION, with find, findOne, create, update, delete or *. public is everybody, authenticated who has logged in."`
	Access       map[string]APIAccess `yaml:"access" keys:"word" doc:"By type, who sees and changes which of its entries, in Strapi's filter syntax, and-ed into every path."`
	Locales      []string             `yaml:"locales" is:"word" default:"en" doc:"The languages of localized types; the first is the default."`
	Registration bool                 `yaml:"registration" default:"on" doc:"Whether visitors may make accounts for themselves."`
	Confirm      bool                 `yaml:"confirm" doc:"Whether the address of a new account has to be confirmed before it can log in. Needs mail."`
	Pages        APIPages             `yaml:"pages" doc:"Pages of the web app that mails lead to."`
	Sessions     APISessions          `yaml:"sessions" doc:"How long somebody who has logged in stays so."`
	PageSize     int                  `yaml:"page_size" is:"1..1000" default:"25" doc:"Entries of a page when a request does not say how many."`
	MaxPageSize  int                  `yaml:"max_page_size" is:"1..1000" default:"100" doc:"Entries of a page at most."`
	Uploads      APIUploads           `yaml:"uploads" doc:"Files that are sent to the API."`
	Origins      []string             `yaml:"origins" is:"origin" doc:"Pages of other hosts that may call the API from a browser: https://example.com. Default: all, without cookies."`
	History      time.Duration        `yaml:"history" is:"positive" default:"90d" doc:"How long it is kept who has changed what."`
}

// APIAccess says which entries of a type a caller sees and changes. Nil is all of them.
type APIAccess struct {
	Find    *Tree `yaml:"find" doc:"Which entries are seen: a filter."`
	FindOne *Tree `yaml:"findOne" doc:"Which entries are seen one at a time. Default: those of find."`
	Create  *Tree `yaml:"create" doc:"What is set on a new entry: {author: $user.id}."`
	Update  *Tree `yaml:"update" doc:"Which entries may be changed, and must still be so afterwards. Of those that are seen."`
	Delete  *Tree `yaml:"delete" doc:"Which entries may be deleted. Of those that are seen."`
}

// APIPages are pages of the web app.
type APIPages struct {
	Reset     string `yaml:"reset" is:"web" doc:"Where the mail about a forgotten password leads, with ?code=…. Default: the mail has the code alone."`
	Confirmed string `yaml:"confirmed" is:"web" doc:"Where who has confirmed an address is sent. Default: a plain answer."`
}

// APISessions say how long somebody stays logged in.
type APISessions struct {
	Refresh bool          `yaml:"refresh" doc:"Whether a login gives a short token and another one that renews it, as Strapi's refresh mode."`
	Access  time.Duration `yaml:"access" is:"positive" doc:"How long a token is good. Default: 30d, or 10m with refresh."`
	Idle    time.Duration `yaml:"idle" is:"positive" default:"7d" doc:"With refresh, how long a session outlives its last renewal."`
	Max     time.Duration `yaml:"max" is:"positive" default:"30d" doc:"With refresh, how long a session lives."`
}

// APIUploads says what files are taken, and where they are kept.
type APIUploads struct {
	Folder string    `yaml:"folder" is:"file" doc:"Where files are kept. Default: uploads in data_dir."`
	S3     *UploadS3 `yaml:"s3" doc:"A bucket to keep files in, instead."`
	Size   Size      `yaml:"size" default:"10MiB" doc:"Bytes of a file at most."`
	Pixels int       `yaml:"pixels" is:"1.." default:"50000000" doc:"Pixels of a picture at most."`
	Types  []string  `yaml:"types" is:"media" doc:"The media types that are taken, as their bytes show them: image/png, image/*. Default: all."`
}

// UploadS3 is a bucket in S3, with the credentials of the instance role or of the environment.
type UploadS3 struct {
	Bucket   string `yaml:"bucket,required" is:"word" doc:"Its name."`
	Prefix   string `yaml:"prefix" is:"line" doc:"What the names of objects begin with: uploads/."`
	Region   string `yaml:"region" is:"word" doc:"Default: that of the instance or of the environment."`
	Endpoint string `yaml:"endpoint" is:"web" doc:"Another service than Amazon's that speaks S3."`
}

func (a *API) fillIn(dataDir string) {
	if a.Uploads.Folder == "" {
		a.Uploads.Folder = filepath.Join(dataDir, "uploads")
	}
	if a.Sessions.Access == 0 {
		a.Sessions.Access = 30 * 24 * time.Hour
		if a.Sessions.Refresh {
			a.Sessions.Access = 10 * time.Minute
		}
	}
}
