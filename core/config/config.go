// Package config is edge.yaml: the types that the rest of the program reads, and the strict way from bytes to them.
//
// [Load] reads a file and what it includes, expands ${…} in scalars, and returns either a complete Config with its
// defaults filled in, or all the problems that it found, each with its place. What only another room can judge
// (a regular expression, a certificate file) that room judges in a function Check(*Config) []Problem.
//
// The struct types below are the one description of the language: decoding, defaults and [Schema] all follow their tags.
//
//	yaml      the key, and how it may be written or must be used: see field.go
//	is        what a scalar has to look like: see form.go
//	keys      the same for the keys of a map
//	default   what an absent key is taken to say
//	doc       what the key means, for readers of this file and of the schema
//
// In comes what edge.yaml can say and how it is said. What a setting does lives in the room that does it.
package config

import (
	"log/slog"
	"net/netip"
	"strings"
	"time"
)

// Config is a whole, valid configuration: relative paths are made absolute, names refer to something that exists.
type Config struct {
	DataDir      string                 `yaml:"data_dir" is:"file" doc:"Folder for what edge keeps. Default: STATE_DIRECTORY, else data beside the main file."`
	Store        Store                  `yaml:"store" doc:"Where all that lasts is kept: sqlite, or the URI of a MongoDB replica set."`
	Shutdown     time.Duration          `yaml:"shutdown" default:"30s" doc:"How long a stop may drain."`
	Listen       Listen                 `yaml:"listen" doc:"Where visitors and operators come in."`
	Log          Log                    `yaml:"log" doc:"What is logged where."`
	TLS          TLS                    `yaml:"tls" doc:"Where certificates come from."`
	Sites        map[string]Site        `yaml:"sites" keys:"name" doc:"Folders of files, by name."`
	TargetGroups map[string]TargetGroup `yaml:"target_groups" keys:"name" doc:"Sets of processes that requests are forwarded to, by name."`
	API          *API                   `yaml:"api" doc:"The content API: types, permissions, accounts. Default: none."` // nil: none
	Functions    map[string]Function    `yaml:"functions" keys:"name" doc:"Lambda functions, by name: in AWS, or processes of this host."`
	Forms        map[string]Form        `yaml:"forms" keys:"name" doc:"Public forms, by name."`
	Webhooks     map[string]Webhook     `yaml:"webhooks" keys:"name" doc:"Sources of webhooks, by name, which is the last segment of the address that they send to."`
	Plugins      map[string]Plugin      `yaml:"plugins" keys:"name" doc:"Processes that handle webhooks and jobs, by name."`
	Jobs         map[string]Job         `yaml:"jobs" keys:"name" doc:"What is done on a schedule, by name."`
	Mail         *Mail                  `yaml:"mail" doc:"How mail is sent. Default: not at all."` // nil: not at all
	Hosts        map[string]Host        `yaml:"hosts" keys:"host" doc:"What is served, by NAME, *.NAME, IP address, or \"*\" for all others."`

	// Files are the files that this configuration was read from, the main one first, named as in problems.
	Files []string `yaml:"-"`

	places   places
	withheld withheld
}

// Store says where all that lasts is kept.
type Store struct {
	URI      string `yaml:"uri,scalar" is:"store" default:"sqlite" doc:"sqlite: the file edge.db in data_dir. Or mongodb://… or mongodb+srv://…: a replica set, which several hosts may share."` // a secret when it has a password
	User     string `yaml:"user" is:"line" doc:"Who edge is to MongoDB, where the URI does not say it."`
	Password string `yaml:"password" is:"secret" doc:"The user's password."`
	Key      string `yaml:"key" is:"key" doc:"32 bytes in base64, the same on all hosts: what private keys are sealed with before MongoDB gets them."` // the bytes
}

// SQLite is the URI of the embedded store.
const SQLite = "sqlite"

// Embedded reports whether the store is this host's own.
func (s Store) Embedded() bool { return s.URI == SQLite }

// String names the store without what is secret.
func (s Store) String() string {
	scheme, rest, ok := strings.Cut(s.URI, "://")
	if !ok {
		return s.URI
	}
	rest, _, _ = strings.Cut(rest, "?")
	return scheme + "://" + rest[strings.LastIndexByte(rest, '@')+1:]
}

// Listen says where visitors and operators come in.
type Listen struct {
	HTTP           []string       `yaml:"http" is:"address" default:":80" doc:"Addresses for plain HTTP. [] for none."`
	HTTPS          []string       `yaml:"https" is:"address" default:":443" doc:"Addresses for HTTPS. [] for none."`
	H3             bool           `yaml:"h3" default:"on" doc:"HTTP/3: QUIC on the https ports."`
	PublicPort     int            `yaml:"public_port" is:"1..65535" doc:"The port that redirects say. Default: that of the first https address."`
	Admin          string         `yaml:"admin" is:"socket" doc:"Unix socket of the operator, as unix:PATH. Default: admin.sock in data_dir."`
	AdminGroup     string         `yaml:"admin_group" is:"word" doc:"Group that may use the admin socket. Default: only its owner."`
	Metrics        string         `yaml:"metrics" is:"address?" doc:"Address of /metrics and /_edge/health; empty for none."`
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies" doc:"Whose X-Forwarded-* to believe: addresses or networks."`
	ProxyProtocol  []netip.Prefix `yaml:"proxy_protocol" doc:"Who must speak PROXY v2: addresses or networks."`
}

// Log says what is logged where.
type Log struct {
	Level  slog.Level `yaml:"level" default:"info" doc:"The least level that is logged."`
	Access string     `yaml:"access" is:"access" default:"stdout" doc:"Where the access log goes: off, stdout or a file."`
	Query  bool       `yaml:"query" doc:"Whether the access log shows query strings."`
}

// TLS says where certificates come from.
type TLS struct {
	Email         string        `yaml:"email" is:"email" doc:"Whom the CA may write to. With an address and no issuers, Let's Encrypt issues."`
	Issuers       []Issuer      `yaml:"issuers" doc:"Who issues certificates, in order of preference: letsencrypt, letsencrypt-staging, zerossl, local, or {directory: URL, …}."`
	CheckInterval time.Duration `yaml:"check_interval" is:"positive" default:"10m" doc:"How often certificates are looked at for renewal, from 1s to 1d."`
	DNS           DNS           `yaml:"dns" doc:"Where the DNS records of dns-01 are written, which wildcards need."`
}

// Issuer is one CA that certificates are got from: one that edge knows by name, or an ACME server (RFC 8555) by its directory.
type Issuer struct {
	Name       string   `yaml:"name,scalar" is:"letsencrypt|letsencrypt-staging|zerossl|local" doc:"A CA that edge knows. local is a CA of edge's own, in data_dir."` // or Directory
	Directory  string   `yaml:"directory" is:"url" doc:"The ACME directory of any other CA."`
	CA         string   `yaml:"ca" is:"file" doc:"PEM file: the roots that the directory's own certificate is verified with. Default: the system's."`
	EAB        *EAB     `yaml:"eab" doc:"The account at the CA that certificates are got for, where the CA asks for one."` // nil: none
	Challenges []string `yaml:"challenges" is:"http-01|tls-alpn-01|dns-01" doc:"How names may be proved. Default: every way that can work."`
}

// EAB binds the ACME account to an account that the CA knows already (RFC 8555, section 7.3.4).
type EAB struct {
	KID  string `yaml:"kid,required" is:"line" doc:"The key's name, from the CA."`
	HMAC string `yaml:"hmac,required" is:"hmac" doc:"The key, from the CA, in base64url."` // a secret; without padding
}

// DNS says where the records of dns-01 are written.
type DNS struct {
	Route53 *Route53 `yaml:"route53" doc:"Amazon Route 53, with the credentials of the instance role or of the environment; {} finds the zone."` // nil: none
}

// Route53 is Amazon Route 53.
type Route53 struct {
	HostedZoneID string `yaml:"hosted_zone_id" is:"word" doc:"The zone to write to. Default: the public zone that the name is in."`
}

// Site is a folder of files that one web app is made of.
type Site struct {
	Root string `yaml:"root,required" is:"file" doc:"The folder."`
	SPA  bool   `yaml:"spa" doc:"Whether paths of no file get index.html."`
	CSP  CSP    `yaml:"csp" doc:"Sources to add to the Content-Security-Policy, by directive without -src; or off for no policy."`
}

// CSP adds sources to the Content-Security-Policy of a site, or turns the policy off.
type CSP struct {
	Off     bool                `yaml:",off"`
	Sources map[string][]string `yaml:",inline" keys:"connect|script|style|img|font|media|frame|worker|form-action|frame-ancestors" is:"source"` // by directive without "-src"
}

// TargetGroup is a set of targets that a request may be forwarded to, as in ALB.
type TargetGroup struct {
	Targets          []Target      `yaml:"targets" doc:"The processes: http://HOST:PORT, https://…, h2c://… or unix:PATH, or {url, weight}."`
	Algorithm        string        `yaml:"algorithm" is:"round_robin|least_outstanding|weighted_random" default:"round_robin" doc:"How a target is chosen."`
	Health           Health        `yaml:"health" doc:"How a target's health is found out; or off. Defaults are ALB's."`
	Drain            time.Duration `yaml:"drain" default:"300s" doc:"How long a target that leaves may finish its requests."`
	SlowStart        time.Duration `yaml:"slow_start" doc:"How long a new target's share grows; 0 is off."`
	Stickiness       *Stickiness   `yaml:"stickiness" doc:"Sends a visitor to the same target again by a cookie. Default: off."` // nil: off
	WhenAllUnhealthy string        `yaml:"when_all_unhealthy" is:"forward|fail" default:"forward" doc:"forward to all of them, as ALB, or fail."`
}

// Target is one process that answers requests.
type Target struct {
	URL    string `yaml:"url,required,scalar" is:"target" doc:"http://HOST:PORT, https://…, h2c://… or unix:PATH."`
	Weight int    `yaml:"weight" is:"0..999" default:"1" doc:"Its share; 0 gets nothing."`
}

// Health says how a target's health is found out.
type Health struct {
	Off       bool          `yaml:",off"`
	Path      string        `yaml:"path" is:"path+query" default:"/" doc:"What is asked for."`
	Interval  time.Duration `yaml:"interval" is:"positive" default:"30s" doc:"Time from check to check."`
	Timeout   time.Duration `yaml:"timeout" is:"positive" doc:"How long an answer may take. Default: 5s, or interval if that is shorter."`
	Healthy   int           `yaml:"healthy" is:"1..1000" default:"5" doc:"Passes in a row to become healthy again."`
	Unhealthy int           `yaml:"unhealthy" is:"1..1000" default:"2" doc:"Failures in a row to become unhealthy."`
	Status    []StatusRange `yaml:"status" default:"200" doc:"The status codes that pass: 200, 200-299, \"200,302\" or a list."`
}

// StatusRange is a range of status codes, both ends included.
type StatusRange struct{ From, To int }

// Stickiness sends a visitor to the same target again by a cookie.
type Stickiness struct {
	Cookie string        `yaml:"cookie" is:"token" default:"EDGESESSION" doc:"The cookie's name."`
	For    time.Duration `yaml:"for" is:"positive" default:"24h" doc:"How long it lasts."`
}

// Host is a hostname with its rules and its certificate.
type Host struct {
	Aliases     []string      `yaml:"aliases" is:"alias" doc:"Names redirected to the host; each has a certificate of its own."`
	HSTS        time.Duration `yaml:"hsts" doc:"max-age of Strict-Transport-Security; 0 for none."`
	Health      string        `yaml:"health" is:"path?" doc:"Path answered for a load balancer in front: 200, or 503 while draining; empty for none."`
	Maintenance bool          `yaml:"maintenance" doc:"Whether every visitor is told to come back later."`
	TLS         HostTLS       `yaml:"tls" doc:"The host's own certificate; or off for plain HTTP."`
	Limits      Limits        `yaml:"limits" doc:"What the host takes on."`
	Rules       []Rule        `yaml:"rules" doc:"Conditions and actions; the first rule whose conditions all hold is taken."`
	Default     *Rule         `yaml:"default,required,unconditional" doc:"What is done if no rule holds: a rule without conditions."`
}

// HostTLS overrides TLS for one host.
type HostTLS struct {
	Off      bool     `yaml:",off"` // the host is served on plain HTTP
	Issuers  []Issuer `yaml:"issuers" doc:"Who issues the host's certificate, instead of tls.issuers."`
	Cert     string   `yaml:"cert" is:"file" doc:"PEM file: the certificate and its chain."`
	Key      string   `yaml:"key" is:"file" doc:"PEM file: the certificate's private key."`
	ClientCA string   `yaml:"client_ca" is:"file" doc:"PEM file: the CAs of which a visitor has to show a certificate. Default: none is asked for."`
}

// Limits bound what a host or a rule takes on. Zero means no limit, except for Idle.
type Limits struct {
	Concurrency int           `yaml:"concurrency" is:"0.." doc:"Requests at once; 0 for no limit."`
	Rate        Rate          `yaml:"rate" doc:"Requests per client address: 50/s, 300/m, 1000/h."`
	Burst       int           `yaml:"burst" is:"0.." doc:"Requests that may come at once. Default: what rate gives in a second, at least 1."`
	Body        Size          `yaml:"body" doc:"Bytes of request body: 65536, 64KiB, 10MiB; 0 for no limit."`
	Idle        time.Duration `yaml:"idle" doc:"Silence after which a request is given up. Default: 60s; a rule's: its host's."`
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
	Path      []string            `yaml:"path,condition" is:"pattern" doc:"/exact, /prefix/*, {name} for one segment, * and ? as in ALB."`
	PathRegex []string            `yaml:"path_regex,condition" is:"regex" doc:"Regular expressions (RE2) on the normalised path."`
	Method    []string            `yaml:"method,condition" is:"method" doc:"Methods such as GET."`
	Header    map[string][]string `yaml:"header,condition" keys:"field" is:"value" doc:"Values by field name, with * and ?."`
	Query     map[string][]string `yaml:"query,condition" keys:"text" is:"text" doc:"Values by query key, with * and ?."`
	SourceIP  []netip.Prefix      `yaml:"source_ip,condition" doc:"Client addresses or networks."`

	// Exactly one of these is the action.
	Site     string         `yaml:"site,action" is:"name" doc:"Serves the site of this name."`
	Forward  map[string]int `yaml:"forward,action" keys:"name" is:"0..999" doc:"Forwards to this target group, or to several: {group: weight, …}."`
	API      bool           `yaml:"api,action" doc:"Takes what is for the content API."`
	Forms    bool           `yaml:"forms,action" doc:"Takes the forms: POST …/NAME."`
	Webhooks bool           `yaml:"webhooks,action" doc:"Takes the webhooks: POST …/NAME."`
	Function string         `yaml:"function,action" is:"name" doc:"Invokes the function of this name and answers with what it says, as API Gateway (HTTP APIs, payload format 2.0)."`
	Redirect *Redirect      `yaml:"redirect,action" doc:"Answers with another place."`
	Respond  *Respond       `yaml:"respond,action" doc:"Answers with fixed words."`

	// What is done on the way.
	Rewrite *Rewrite       `yaml:"rewrite" doc:"Changes what the action gets to see."`
	Headers *HeaderChanges `yaml:"headers" doc:"Changes fields of the request and of the answer."`
	Limits  Limits         `yaml:"limits" doc:"What the rule takes on, besides its host's limits."`
	CORS    *CORS          `yaml:"cors" doc:"Answers preflights and marks answers for other origins."`
	Auth    *Auth          `yaml:"auth" doc:"Asks the visitor for a name and a password."`
}

// Redirect answers with another place. To is a URL or a path with ALB's #{protocol} #{host} #{port} #{path} #{query}.
type Redirect struct {
	To     string `yaml:"to,required" is:"line" doc:"URL or path, with #{protocol} #{host} #{port} #{path} #{query}."`
	Status int    `yaml:"status" is:"301|302|303|307|308" default:"302" doc:"The status code."`
}

// Respond answers with fixed words.
type Respond struct {
	Status int    `yaml:"status" is:"200..599" default:"200" doc:"The status code."`
	Type   string `yaml:"type" is:"media" default:"text/plain; charset=utf-8" doc:"The media type."`
	Body   string `yaml:"body" is:"text" doc:"The words."`
}

// Rewrite changes what the action gets to see. It does not change which rule matched.
type Rewrite struct {
	Path  string `yaml:"path" is:"line" doc:"The new path; with regex its replacement: $1, or ${name} written as $${name}."`
	Host  string `yaml:"host" is:"line" doc:"The new Host; with regex its replacement."`
	Regex string `yaml:"regex" is:"regex" doc:"Regular expression (RE2); what does not match stays as it is."`
}

// HeaderChanges are changes to the fields of the request and of the answer.
type HeaderChanges struct {
	Request  FieldChanges `yaml:"request" doc:"Changes to what the action gets."`
	Response FieldChanges `yaml:"response" doc:"Changes to what the visitor gets."`
}

// FieldChanges are applied in this order: remove, set, add.
type FieldChanges struct {
	Set    map[string]string `yaml:"set" keys:"field" is:"value" doc:"Fields to replace, by name."`
	Add    map[string]string `yaml:"add" keys:"field" is:"value" doc:"Fields to add, by name."`
	Remove []string          `yaml:"remove" is:"field" doc:"Names of fields to remove."`
}

// CORS answers preflights and marks answers, as API Gateway does: the target's own CORS fields are replaced.
type CORS struct {
	Origins     []string      `yaml:"origins,required" is:"origin" doc:"https://app.example.com, https://*.example.com or \"*\"."`
	Methods     []string      `yaml:"methods" is:"method" default:"GET,HEAD,POST" doc:"Methods that are allowed."`
	Headers     []string      `yaml:"headers" is:"field" doc:"Request fields that are allowed."`
	Credentials bool          `yaml:"credentials" doc:"Whether cookies and passwords may be sent along."`
	Expose      []string      `yaml:"expose" is:"field" doc:"Response fields that scripts may read."`
	MaxAge      time.Duration `yaml:"max_age" doc:"How long a browser may remember the answer to a preflight."`
}

// Auth asks the visitor for a name and a password.
type Auth struct {
	Basic map[string]string `yaml:"basic,required" keys:"user" is:"secret" doc:"bcrypt hash ($2…) or password, by name."`
}
