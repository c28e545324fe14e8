package storage

import (
	"path"
	"strings"
)

// LocalPrefix is what the names of local CAs begin with among the keys: every host has its own.
const LocalPrefix = "local-"

// IssuerKey names the CA with that ACME directory (a URL) among the keys, as certmagic does.
func IssuerKey(directory string) string {
	rest, _ := strings.CutPrefix(directory, "https://")
	return strings.Trim(strings.NewReplacer("/", "-", ":", "_").Replace(rest), "-")
}

// AccountKey is where the private key of the account with that CA is kept.
func AccountKey(directory string) string {
	return path.Join("acme", IssuerKey(directory), "account.key")
}
