package preflight

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/caddyserver/certmagic"
	"github.com/onehost/edge/edge/internal/cert/storage"
)

// account finds out whether the key of our account with a CA can be read. Without one there is nothing to say: edge makes it.
func (in *inspection) account(a *authority) (Finding, bool) {
	file := filepath.Join(in.Config.DataDir, "certificates", storage.AccountKey(a.issuer.DirectoryURL()))
	f := Finding{Check: "account", Result: OK, Seen: "the key of the account with " + a.issuer.String() + " is kept"}
	pem, err := readFile(file)
	if err == nil {
		_, err = certmagic.PEMDecodePrivateKey(pem)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, false
	case errors.Is(err, fs.ErrPermission):
		f.Result, f.Seen, f.Do = Unknown, err.Error(), "look with the user that edge runs as"
	case err != nil:
		f.Result, f.Seen = Fail, fmt.Sprintf("the account key %s can't be read: %s", file, printable(err.Error()))
		f.Do = "put it back from a backup, or move it away to register a new account"
	}
	return f, true
}
