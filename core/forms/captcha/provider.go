package captcha

// provider is what tells the three apart.
type provider struct {
	name      string
	url       string
	field     string
	longest   int  // bytes of a token
	retry     bool // the same token may be asked about twice, with the same idempotency_key
	scores    bool // score is how sure it is of a person; hCaptcha's (Enterprise) is how sure it is of none
	actions   bool
	anonymous bool // the hostname may be left out, as hCaptcha does when a site has much traffic; its tokens are bound to the site's key all the same
}

// Only Turnstile says how long its tokens are. The others' have grown beyond 2048 (reCAPTCHA) and 4000 characters (hCaptcha).
var (
	reCAPTCHA = provider{ // https://developers.google.com/recaptcha/docs/verify, https://developers.google.com/recaptcha/docs/v3
		name: "reCAPTCHA", url: "https://www.google.com/recaptcha/api/siteverify", field: "g-recaptcha-response",
		longest: 8 << 10, scores: true, actions: true,
	}
	turnstile = provider{ // https://developers.cloudflare.com/turnstile/get-started/server-side-validation/
		name: "Turnstile", url: "https://challenges.cloudflare.com/turnstile/v0/siteverify", field: "cf-turnstile-response",
		longest: 2048, retry: true, actions: true,
	}
	hCaptcha = provider{ // https://docs.hcaptcha.com/#verify-the-user-response-server-side
		name: "hCaptcha", url: "https://api.hcaptcha.com/siteverify", field: "h-captcha-response",
		longest: 16 << 10, anonymous: true,
	}
)
