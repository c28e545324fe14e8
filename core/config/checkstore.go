package config

import "strings"

// store finds what does not go together in where things are kept, and secrets that stand in the file.
func (k *checker) store() {
	at := path{"store"}
	if k.bad(at) || k.bad(at.to("uri")) {
		return
	}
	if k.Store.Embedded() {
		for _, key := range []string{"user", "password", "key"} {
			if k.given(at.to(key)) && !k.bad(at.to(key)) {
				k.fail(at.to(key), "%s goes with the URI of a MongoDB replica set; sqlite is a file in data_dir", key)
			}
		}
		return
	}
	if k.given(at.to("password")) && !k.given(at.to("user")) {
		k.fail(at.to("password"), "password needs user: whose it is")
	}
	servers, _, _ := strings.Cut(k.Store.URI, "?")
	for _, uri := range []path{at, at.to("uri")} {
		if strings.Contains(servers, "@") && k.places[pathKey(uri...)].bare {
			k.warn(uri, "a user stands in the URI in the file; write ${credential:NAME} or ${file:PATH}, or user and password beside uri")
		}
	}
	for _, key := range []string{"password", "key"} {
		if k.places[pathKey(at.to(key)...)].bare {
			k.warn(at.to(key), "the %s stands in the file as it is; write ${credential:NAME} or ${file:PATH}", key)
		}
	}
}
