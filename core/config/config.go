// Package config is edge.yaml: the types that the rest of the program reads, and the strict way from bytes to them.
//
// [Load] reads a file and what it includes, expands ${…} in scalars, and returns either a complete Config with its
// defaults filled in, or all the problems that it found, each with its place. What only another room can judge
// (a regular expression, a certificate file) that room judges in a function Check(*Config) []Problem.
//
// In comes what edge.yaml can say and how it is said. What a setting does lives in the room that does it.
package config

import (
	"log/slog"
	"net/netip"
	"time"
)

// Config is a whole, valid configuration: relative paths are made absolute, names refer to something that exists.
type Config struct {
	DataDir      string                 `yaml:"data_dir"` // else STATE_DIRECTORY, else ./data
	Shutdown     time.Duration          `yaml:"shutdown"` // how long a stop may drain; default 30s
	Listen       Listen                 `yaml:"listen"`
	Log          Log                    `yaml:"log"`
	TLS          TLS                    `yaml:"tls"`
	Sites        map[string]Site        `yaml:"sites"`
	TargetGroups map[string]TargetGroup `yaml:"target_groups"`
	Hosts        map[string]Host        `yaml:"hosts"` // by NAME in lower case, "*.NAME", an IP address, or "*"

	// Files are the files that this configuration was read from, the main one first.
	Files []string `yaml:"-"`

	places places
}

// Listen says where visitors and operators come in.
type Listen struct {
	HTTP           []string       `yaml:"http"`        // addresses; default [":80"]
	HTTPS          []string       `yaml:"https"`       // default [":443"]
	H3             bool           `yaml:"h3"`          // QUIC on the https ports
	PublicPort     int            `yaml:"public_port"` // what redirects say; default: the port of the first https address
	Admin          string         `yaml:"admin"`       // "unix:/PATH"; default DATA_DIR/admin.sock
	AdminGroup     string         `yaml:"admin_group"` // group that may use the admin socket; default nobody but the owner
	Metrics        string         `yaml:"metrics"`     // address, "" for none
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies"`
	ProxyProtocol  []netip.Prefix `yaml:"proxy_protocol"`
}

// Log says what is logged where.
type Log struct {
	Level  slog.Level `yaml:"level"`
	Access string     `yaml:"access"` // "off", "stdout" (default) or an absolute path
	Query  bool       `yaml:"query"`  // whether the access log shows query strings
}

// TLS says where certificates come from.
type TLS struct {
	Issuers []string `yaml:"issuers"` // "local"
}

// Site is a folder of files that one web app is made of.
type Site struct {
	Root string `yaml:"root"` // a folder
	SPA  bool   `yaml:"spa"`
	CSP  CSP    `yaml:"csp"`
}

// CSP adds sources to the Content-Security-Policy of a site, or turns the policy off.
type CSP struct {
	Off     bool                // written as csp: off
	Sources map[string][]string // by directive without "-src": connect, script, style, img, font, media, frame, worker, form-action, frame-ancestors
}

// TargetGroup is a set of targets that a request may be forwarded to, as in ALB.
type TargetGroup struct {
	Targets          []Target      `yaml:"targets"`
	Algorithm        string        `yaml:"algorithm"` // round_robin (default), least_outstanding, weighted_random
	Health           Health        `yaml:"health"`
	Drain            time.Duration `yaml:"drain"`              // default 300s
	SlowStart        time.Duration `yaml:"slow_start"`         // default 0, off
	Stickiness       *Stickiness   `yaml:"stickiness"`         // nil: off
	WhenAllUnhealthy string        `yaml:"when_all_unhealthy"` // forward (default) or fail
}

// Target is one process that answers requests. In the file it may be just its URL.
type Target struct {
	URL    string `yaml:"url"`    // http://HOST:PORT, https://…, h2c://…, unix:/PATH
	Weight int    `yaml:"weight"` // default 1; 0 gets nothing
}

// Health says how a target's health is found out. Defaults are ALB's.
type Health struct {
	Off       bool          // written as health: off
	Path      string        `yaml:"path"`      // default /
	Interval  time.Duration `yaml:"interval"`  // default 30s
	Timeout   time.Duration `yaml:"timeout"`   // default 5s
	Healthy   int           `yaml:"healthy"`   // passes in a row to become healthy again; default 5
	Unhealthy int           `yaml:"unhealthy"` // failures in a row to become unhealthy; default 2
	Status    []StatusRange `yaml:"status"`    // what passes; default 200. In the file 200, "200-299", "200,302" or a list
}

// StatusRange is a range of status codes, both ends included.
type StatusRange struct{ From, To int }

// Stickiness sends a visitor to the same target again by a cookie.
type Stickiness struct {
	Cookie string        `yaml:"cookie"` // default EDGESESSION
	For    time.Duration `yaml:"for"`    // default 24h
}

// Host is a hostname with its rules and its certificate.
type Host struct {
	Aliases     []string      `yaml:"aliases"` // redirected to the host; each has a certificate of its own
	HSTS        time.Duration `yaml:"hsts"`    // max-age; 0: none
	Health      string        `yaml:"health"`  // path answered for a load balancer in front, "" for none
	Maintenance bool          `yaml:"maintenance"`
	TLS         HostTLS       `yaml:"tls"`
	Limits      Limits        `yaml:"limits"`
	Rules       []Rule        `yaml:"rules"`
	Default     *Rule         `yaml:"default"` // without conditions; required
}

// HostTLS overrides TLS for one host.
type HostTLS struct {
	Off     bool     // written as tls: off: the host is served on plain http
	Issuers []string `yaml:"issuers"`
	Cert    string   `yaml:"cert"` // PEM file: the certificate and its chain
	Key     string   `yaml:"key"`  // PEM file
}

// Limits bound what a host or a rule takes on. Zero means no limit, except for Idle.
type Limits struct {
	Concurrency int           `yaml:"concurrency"` // requests at once
	Rate        Rate          `yaml:"rate"`        // requests per client address: 50/s, 300/m, 1000/h
	Burst       int           `yaml:"burst"`       // default: what Rate gives in one second, at least 1
	Body        Size          `yaml:"body"`        // bytes of request body
	Idle        time.Duration `yaml:"idle"`        // silence after which a request is given up; 0: 60s (a rule's: its host's)
}

// Rate is so many per so long.
type Rate struct {
	N   int
	Per time.Duration // time.Second, time.Minute or time.Hour
}

// Size is a number of bytes. In the file: 65536, 64KiB, 10MiB, 1GiB; KB, MB, GB are powers of ten.
type Size int64

// Rule is conditions, which must all hold, and the one action that is taken then; first match wins.
// A condition's list is any-of; an empty condition always holds.
type Rule struct {
	Path      []string            `yaml:"path"`       // /exact, /prefix/*, {name} for one segment, * and ? as in ALB
	PathRegex []string            `yaml:"path_regex"` // RE2, on the normalised path
	Method    []string            `yaml:"method"`
	Header    map[string][]string `yaml:"header"` // name: values, with * and ?
	Query     map[string][]string `yaml:"query"`  // key: values, with * and ?
	SourceIP  []netip.Prefix      `yaml:"source_ip"`

	// Exactly one of these is the action.
	Site     string         `yaml:"site"`    // a key of Config.Sites
	Forward  map[string]int `yaml:"forward"` // target group: weight. In the file it may be just the group's name
	Redirect *Redirect      `yaml:"redirect"`
	Respond  *Respond       `yaml:"respond"`

	// What is done on the way.
	Rewrite *Rewrite       `yaml:"rewrite"`
	Headers *HeaderChanges `yaml:"headers"`
	Limits  Limits         `yaml:"limits"`
	CORS    *CORS          `yaml:"cors"`
	Auth    *Auth          `yaml:"auth"`
}

// Redirect answers with another place. To is a URL or a path with ALB's #{protocol} #{host} #{port} #{path} #{query}.
type Redirect struct {
	To     string `yaml:"to"`
	Status int    `yaml:"status"` // 301, 302 (default), 303, 307, 308
}

// Respond answers with fixed words.
type Respond struct {
	Status int    `yaml:"status"` // 200..599; default 200
	Type   string `yaml:"type"`   // media type; default text/plain; charset=utf-8
	Body   string `yaml:"body"`
}

// Rewrite changes what the action gets to see. It does not change which rule matched.
type Rewrite struct {
	Path  string `yaml:"path"`  // the new path; with Regex its replacement: $1, ${name} written as $${name}
	Host  string `yaml:"host"`  // the new Host
	Regex string `yaml:"regex"` // RE2; what does not match stays as it is
}

// HeaderChanges are changes to the fields of the request and of the answer.
type HeaderChanges struct {
	Request  FieldChanges `yaml:"request"`
	Response FieldChanges `yaml:"response"`
}

// FieldChanges are applied in this order: remove, set, add.
type FieldChanges struct {
	Set    map[string]string `yaml:"set"`
	Add    map[string]string `yaml:"add"`
	Remove []string          `yaml:"remove"`
}

// CORS answers preflights and marks answers, as API Gateway does: the target's own CORS fields are replaced.
type CORS struct {
	Origins     []string      `yaml:"origins"` // "https://app.example.com", "https://*.example.com" or "*"
	Methods     []string      `yaml:"methods"` // default GET, HEAD, POST
	Headers     []string      `yaml:"headers"`
	Credentials bool          `yaml:"credentials"`
	Expose      []string      `yaml:"expose"`
	MaxAge      time.Duration `yaml:"max_age"`
}

// Auth asks the visitor for a name and a password.
type Auth struct {
	Basic map[string]string `yaml:"basic"` // name: bcrypt hash ($2…) or password
}
