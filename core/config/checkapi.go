package config

import (
	"regexp"
	"slices"
	"strings"
)

// maxUpload bounds a file that the API takes: it is on disk before anybody has looked at it.
const maxUpload = 5 << 30

// localePattern is a language, and perhaps a script and a region (BCP 47).
const localePattern = `^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`

// api finds what is wrong in the content API. What types, permissions and filters mean is judged where the content types are read.
func (k *checker) api() {
	a, at := k.API, path{"api"}
	if a == nil || k.bad(at) {
		return
	}
	if a.Prefix != "/" && strings.HasSuffix(a.Prefix, "/") {
		k.fail(at.to("prefix"), "a prefix does not end in /")
	}
	if a.PageSize > a.MaxPageSize {
		k.fail(at.to("page_size"), "a page has more entries than max_page_size, which is %d", a.MaxPageSize)
	}
	if a.Confirm && k.Mail == nil && !k.bad(path{"mail"}) && !k.partial {
		k.fail(at.to("confirm"), "to confirm an address a mail is sent to it: mail says how, and is missing")
	}
	k.locales(a.Locales, at.to("locales"))
	k.sessions(a.Sessions, at.to("sessions"))
	up := at.to("uploads")
	if k.given(up.to("folder")) && k.given(up.to("s3")) {
		k.fail(up.to("s3"), "files are kept in a folder or in a bucket, and not in both")
	}
	if a.Uploads.Size == 0 || a.Uploads.Size > maxUpload {
		k.fail(up.to("size"), "a file has 5GiB at most, and is never without bound")
	}
}

func (k *checker) locales(locales []string, at path) {
	valid := regexp.MustCompile(localePattern)
	if len(locales) == 0 && !k.bad(at) {
		k.fail(at, "there is at least one language, the default: en")
	}
	for i, locale := range locales {
		switch {
		case !valid.MatchString(locale):
			k.fail(at.to(i), "a language is written as en, pt-BR or zh-Hant")
		case slices.Index(locales, locale) < i:
			k.fail(at.to(i), "%s is given twice", k.Show(locale, at.to(i)...))
		}
	}
}

func (k *checker) sessions(s APISessions, at path) {
	if !s.Refresh {
		for _, key := range []string{"idle", "max"} {
			if k.given(at.to(key)) && !k.bad(at.to("refresh")) {
				k.fail(at.to(key), "%s is about tokens that renew others: it needs refresh: on", key)
			}
		}
		return
	}
	if s.Access > s.Idle {
		k.fail(at.to("access"), "a token is good for no longer than its session, which idle ends")
	}
	if s.Idle > s.Max {
		k.fail(at.to("idle"), "a session lives no longer than max")
	}
}

// takesAPI finds what is wrong in a rule that leads to the content API.
func (k *checker) takesAPI(said bool, at path) {
	k.used[pathKey("api")] = true
	switch {
	case !said:
		k.fail(at, "api can only be true; leave it out for another action")
	case k.API == nil && !k.bad(path{"api"}) && !k.partial:
		k.fail(at, "there is no content API: describe it below api")
	}
}

// mayUse finds what is wrong in what a plugin may use of edge's.
func (k *checker) mayUse(may []string, at path) {
	for i, one := range may {
		if strings.HasPrefix(one, "entries:") && k.API == nil && !k.bad(path{"api"}) && !k.partial {
			k.fail(at.to(i), "api describes entries, and is missing")
		}
	}
	if slices.Contains(may, "mail") && k.Mail == nil && !k.bad(path{"mail"}) && !k.partial {
		k.fail(at, "mail says how mail is sent, and is missing")
	}
}
