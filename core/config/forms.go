package config

import "time"

// Function is a Lambda function that edge may invoke: one of AWS, or the same program as a process of this host.
type Function struct {
	ARN         string            `yaml:"arn" is:"arn" doc:"The function in AWS: arn:aws:lambda:REGION:ACCOUNT:function:NAME, with :VERSION or :ALIAS if need be."`
	Command     string            `yaml:"command" is:"file" doc:"The function here: a program that speaks the Lambda Runtime API, as every Lambda runtime does."` // or ARN
	Args        []string          `yaml:"args" is:"text" doc:"Arguments of command."`
	Env         map[string]string `yaml:"env" keys:"env" is:"secret?" doc:"Environment of command. It gets nothing else of edge's own."`
	Timeout     time.Duration     `yaml:"timeout" is:"positive" default:"30s" doc:"How long an invocation may take, up to 15m, as Lambda."`
	Concurrency int               `yaml:"concurrency" is:"1..1000" doc:"Invocations at once. Default: 4 for a command, of which each is a process; 50 for an ARN."`
}

// Local reports whether the function is a process of this host.
func (f Function) Local() bool { return f.Command != "" }

// Form is a public form: what is taken of visitors, and the function that gets it.
type Form struct {
	Function  string               `yaml:"function" is:"name" doc:"The function that gets what was sent. Default: none, it is kept to be looked at."`
	Sync      bool                 `yaml:"sync" doc:"Whether the visitor waits for the function and gets its answer. Then nothing is kept or tried again."`
	Origins   []string             `yaml:"origins" is:"origin" doc:"Pages that may send the form: https://example.com. Default: all."`
	Fields    map[string]FormField `yaml:"fields" keys:"form" doc:"What fields have to look like, by name. Other fields are taken as they are."`
	Honeypot  string               `yaml:"honeypot" is:"form" default:"_gotcha" doc:"A field that people do not see: who fills it in is taken for a program."`
	Captcha   *Captcha             `yaml:"captcha" doc:"Who says that the visitor is a person: exactly one of recaptcha, turnstile, hcaptcha."` // nil: nobody
	Token     *FormToken           `yaml:"token" doc:"Asks for a token of the page, which says when it was fetched. {} for the defaults."`      // nil: only from who does not say his origin
	Flag      FormFlag             `yaml:"flag" doc:"What looks like spam: it is kept aside, and the visitor thanked."`
	Limits    Limits               `yaml:"limits" doc:"What the form takes on. Defaults: rate 10/m, burst 10, body 64KiB, concurrency 32. A network (/24, or /64 of IPv6) may send four times what one address may, and a /48 sixteen times."`
	Redirect  string               `yaml:"redirect" is:"where" doc:"Where browsers go when it was taken: a path or URL. Default: a page of edge's own."`
	MaxKept   int                  `yaml:"max_kept" is:"1.." default:"100000" doc:"Submissions that are kept at once; when there are as many, no more are taken, and a person is told."`
	Retention time.Duration        `yaml:"retention" is:"positive" default:"90d" doc:"How long what was sent is kept once it is done with."`
}

// FormField says what one field has to look like.
type FormField struct {
	Type     string   `yaml:"type,scalar" is:"text|email|url|tel|number|date|checkbox|select|file" default:"text" doc:"What it is, as in HTML."`
	Label    string   `yaml:"label" is:"line" doc:"What visitors call it. Default: its name."`
	Required bool     `yaml:"required" doc:"Whether it must be filled in."`
	Min      *int     `yaml:"min" is:"-1000000000.." doc:"Characters at least; of a number its least value."` // nil: none
	Max      *int     `yaml:"max" is:"-1000000000.." doc:"Characters at most; of a number its greatest value. Default: 320 for email, 2048 for url, 10000 for text; no bound for number."`
	Pattern  string   `yaml:"pattern" is:"regex" doc:"Regular expression (RE2) that all of it has to match."`
	Options  []string `yaml:"options" is:"line" doc:"The values of a select."`
	Accept   []string `yaml:"accept" is:"media" doc:"The media types of a file: image/png, application/pdf. Default: any."`
	Size     Size     `yaml:"size" doc:"Bytes of a file at most. Default: what the form's body may have."`
}

// Captcha is who says that a visitor is a person.
type Captcha struct {
	ReCAPTCHA *CaptchaService `yaml:"recaptcha" doc:"Google reCAPTCHA, v2 or v3."`
	Turnstile *CaptchaService `yaml:"turnstile" doc:"Cloudflare Turnstile."`
	HCaptcha  *CaptchaService `yaml:"hcaptcha" doc:"hCaptcha."`
}

// CaptchaService is one account at a captcha's provider.
type CaptchaService struct {
	Secret      string   `yaml:"secret,required" is:"secret" doc:"The secret key."`
	Score       float64  `yaml:"score" is:"0..1" default:"0.5" doc:"The least score of reCAPTCHA v3 that is a person's; below it is flagged."`
	Action      string   `yaml:"action" is:"line" doc:"The action that the page names (reCAPTCHA v3, Turnstile). Default: any."`
	Hostnames   []string `yaml:"hostnames" is:"host" doc:"Hosts of the page. Default: those of origins."`
	Unavailable string   `yaml:"when_unavailable" is:"reject|flag" default:"reject" doc:"What is done when the provider does not answer: reject with 503, or keep aside to be looked at."`
	VerifyURL   string   `yaml:"verify_url" is:"web" doc:"Where tokens are verified. Default: the provider's."`
}

// FormToken asks for a token of the page, which says when it was fetched.
type FormToken struct {
	MinFill time.Duration `yaml:"min_fill" default:"3s" doc:"How long filling the form in takes people at least; faster is flagged."`
	MaxAge  time.Duration `yaml:"max_age" is:"positive" default:"1d" doc:"How long a token is good."`
}

// FormFlag says what looks like spam.
type FormFlag struct {
	Links int      `yaml:"links" is:"0.." doc:"Links in all fields, from which on it does; 0 for no bound."`
	Words []string `yaml:"words" is:"line" doc:"Words that make it so, whatever their case."`
}

// Mail is how mail is sent: by exactly one of SMTP, SES and Folder.
type Mail struct {
	SMTP   *SMTP    `yaml:"smtp" doc:"A mail server."`
	SES    *SES     `yaml:"ses" doc:"Amazon SES (v2), with the credentials of the instance role or of the environment; {} for its region."`
	Folder string   `yaml:"folder" is:"file" doc:"A folder in which each message becomes a file NAME.eml, instead of being sent: for trying things out."`
	From   string   `yaml:"from,required" is:"mailbox" doc:"Whose mail it is: App <app@example.com>."`
	Alarms []string `yaml:"alarms" is:"email" doc:"Who is told when something needs a person."`
}

// SMTP is a mail server that takes mail for anybody (RFC 6409).
type SMTP struct {
	Host     string `yaml:"host,required" is:"line" doc:"Its name."`
	Port     int    `yaml:"port" is:"1..65535" default:"587" doc:"Its port: 587 begins plain and changes to TLS, 465 is TLS from the start."`
	User     string `yaml:"user" is:"line" doc:"Who edge is there."`
	Password string `yaml:"password" is:"secret" doc:"The user's password."`
	TLS      string `yaml:"tls" is:"starttls|implicit|off" doc:"Default: implicit on port 465, else starttls, which is required. off is for servers of this machine."`
	CA       string `yaml:"ca" is:"file" doc:"PEM file: the roots that its certificate is verified with. Default: the system's."`
}

// SES is Amazon SES.
type SES struct {
	Region string `yaml:"region" is:"word" doc:"Default: that of the instance or of the environment."`
}
