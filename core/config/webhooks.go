package config

import "time"

// Webhook is a source of webhooks: how what it sends is known to be its own, and the plugin that handles it.
type Webhook struct {
	Verify      Verify          `yaml:"verify,required" doc:"How what it sends is known to be its own: the provider, or {hmac: …} for any other. none takes all that comes."`
	Secret      string          `yaml:"secret" is:"secret" doc:"What only the source and edge know; of paypal the webhook's id; of discord and sendgrid the public key; of basic USER:PASSWORD."`
	Secrets     []string        `yaml:"secrets" is:"secret" doc:"Two secrets, of which each is good: while one takes the place of the other."`
	Tolerance   time.Duration   `yaml:"tolerance" is:"positive" default:"5m" doc:"How far the time that the source has signed may be from now, before or after."`
	Token       string          `yaml:"token" is:"secret" doc:"What meta, or another that asks for it, has to say when it looks whether this address is yours (hub.verify_token)."`
	Topics      []string        `yaml:"topics" is:"line" doc:"The ARNs of sns topics that may send, with * and ?. Anybody could have a topic."`
	URL         string          `yaml:"url" is:"web" doc:"The address that the source was given, where what it signs has it in (twilio). Default: the one that was asked."`
	Plugin      string          `yaml:"plugin" is:"name" doc:"The plugin that handles deliveries. Default: none, they are kept to be looked at."`
	Timeout     time.Duration   `yaml:"timeout" is:"positive" default:"30s" doc:"How long the plugin may take for one."`
	Concurrency int             `yaml:"concurrency" is:"1..1000" default:"4" doc:"How many the plugin is given at once."`
	FIFO        string          `yaml:"fifo" is:"line" doc:"Handles those with the same key one after the other, in the order in which they came: header:NAME, or a path into a JSON body such as data.object.customer. \"*\": all of the source."`
	Retries     []time.Duration `yaml:"retries" is:"positive" doc:"The pauses after attempts that failed. Default: 5s, 5m, 30m, 2h, 5h, 10h, 14h, 20h, 24h, as Standard Webhooks advises. [] for none."` // nil: default
	Sync        *WebhookSync    `yaml:"sync" doc:"The source wants the plugin's answer (Slack commands, Discord, Twilio). {} for the defaults."`                                                         // nil: it is answered when the delivery is kept
	Expect      time.Duration   `yaml:"expect" is:"positive" doc:"A source that is silent for longer is a matter for a person. Default: it may be."`
	Body        Size            `yaml:"body" default:"1MiB" doc:"Bytes of a delivery at most, up to 10MiB."`
	Retention   time.Duration   `yaml:"retention" is:"positive" default:"30d" doc:"How long a delivery is kept once it is done with."`
	MaxKept     int             `yaml:"max_kept" is:"1.." default:"1000000" doc:"Deliveries that are kept at once; when there are as many, the source is told to try again later, and a person is told."`
}

// Verify says how a delivery is known to be its source's.
type Verify struct {
	Scheme string `yaml:"scheme,scalar" is:"standard|stripe|github|slack|shopify|twilio|paypal|linear|paddle|sendgrid|discord|x|meta|sns|graph|bearer|basic|none" doc:"The provider, or the way."` // or HMAC
	Header string `yaml:"header" is:"field" doc:"Where bearer looks for the secret, when it is not Authorization: Bearer SECRET: X-Api-Key."`
	ID     string `yaml:"id" is:"line" doc:"What tells deliveries of bearer, basic and none apart: header:NAME, or a path into a JSON body such as event.id. Default: nothing, each is another one."`
	Type   string `yaml:"type" is:"line" doc:"What kind of event a delivery of bearer, basic and none is: header:NAME, or a path into a JSON body."`
	HMAC   *HMAC  `yaml:"hmac" doc:"A keyed hash, as most sources sign."`
}

// HMAC is a signature by a keyed hash (RFC 2104).
type HMAC struct {
	Header    string `yaml:"header,required" is:"field" doc:"The field with the signature."`
	Algorithm string `yaml:"algorithm" is:"sha1|sha256|sha384|sha512" default:"sha256" doc:"The hash."`
	Encoding  string `yaml:"encoding" is:"hex|base64|base64url" default:"hex" doc:"How the signature is written."`
	Prefix    string `yaml:"prefix" is:"line" doc:"What stands before the signature, such as sha256=."`
	Signed    string `yaml:"signed" is:"line" default:"{body}" doc:"What is signed: {body}, {timestamp}, {id}, {url}, {method} and other characters, such as {timestamp}.{body}."`
	Timestamp string `yaml:"timestamp" is:"field" doc:"The field with the time that is signed, in seconds or milliseconds since 1970, or as RFC 3339."`
	ID        string `yaml:"id" is:"line" doc:"What tells deliveries apart: header:NAME, or a path into a JSON body such as event.id. Default: the hash of the body."`
	Type      string `yaml:"type" is:"line" doc:"What kind of event it is: header:NAME, or a path into a JSON body."`
}

// WebhookSync has the source wait for the plugin's answer.
type WebhookSync struct {
	Timeout time.Duration `yaml:"timeout" is:"positive" default:"2500ms" doc:"How long the source waits; then it is told that the answer comes later, where it knows that (slack, discord), and the plugin goes on. Up to 15s."`
}

// Plugin is a process of somebody else's that handles webhooks and jobs.
type Plugin struct {
	Command string            `yaml:"command,required" is:"file" doc:"The program, made with the SDK or any other that speaks the plugins' protocol."`
	Args    []string          `yaml:"args" is:"text" doc:"Its arguments."`
	Env     map[string]string `yaml:"env" keys:"env" is:"secret?" doc:"Its environment. It gets nothing of edge's own."`
	Secrets map[string]string `yaml:"secrets" keys:"env" is:"secret" doc:"What it can ask for by name. Not in its environment, where other processes may read it."`
	SHA256  string            `yaml:"sha256" is:"sha256" doc:"The program's SHA-256; another program is not started."`
	May     []string          `yaml:"may" is:"entries:read|entries:write|mail" doc:"What of edge's it may use."`
	Watch   bool              `yaml:"watch" doc:"Whether a new build is taken into service at once. Not with sha256."`
	User    string            `yaml:"user" is:"word" doc:"The user that it runs as, which edge may only arrange as root. Default: edge's own."`
	Memory  Size              `yaml:"memory" doc:"Memory of its processes together; with more it is started anew. Default: no bound."`
}
