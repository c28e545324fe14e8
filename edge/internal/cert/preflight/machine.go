package preflight

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// By how much our clock may differ from the CA's. Let's Encrypt dates certificates back by an hour: a clock that is further
// behind holds a new one for not valid yet.
const (
	clockSlack = time.Minute
	clockLimit = time.Hour
)

// clock compares our clock with the CAs', and asks the kernel whether somebody keeps it.
func (in *inspection) clock() Finding {
	f := Finding{Check: "clock", Result: OK}
	kept, err := in.ntp()
	switch {
	case err != nil:
		f.Seen = "whether NTP keeps it is not known: " + err.Error()
	case kept:
		f.Seen = "kept by NTP"
	default:
		f.Result, f.Seen, f.Do = Warn, "not kept by NTP", "run `timedatectl set-ntp true`, or start chrony"
	}
	for _, a := range in.authorities {
		if !a.dated {
			continue
		}
		off := a.ahead.Abs().Round(time.Second)
		direction := "behind"
		if a.ahead < 0 {
			direction = "ahead of"
		}
		switch {
		case off > clockLimit:
			f.Result, f.Seen, f.Do = Fail, fmt.Sprintf("%s %s that of %s", off, direction, a.issuer), "set the clock, and have NTP keep it: `timedatectl set-ntp true`"
		case off > clockSlack:
			f.Result, f.Seen, f.Do = Warn, fmt.Sprintf("%s %s that of %s", off, direction, a.issuer), "have NTP keep it: `timedatectl set-ntp true`"
		default:
			f.Seen += "; right now it agrees with " + a.issuer.String()
		}
		return f
	}
	if err != nil {
		f.Result = Unknown
	}
	return f
}

// What the storage has to have room for: some thousand certificates, and the database beside them.
const (
	leastBytes, fewBytes   = 1 << 20, 100 << 20
	leastInodes, fewInodes = 16, 1000
)

// storage finds out whether certificates can be kept.
func (in *inspection) storage() Finding {
	dir := in.Config.DataDir
	f := Finding{Check: "storage", Result: Fail}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Result, f.Seen, f.Do = Warn, dir+" does not exist yet", "nothing if edge has not run here: it makes the folder; else look at data_dir"
		return f
	case err != nil:
		f.Seen, f.Do = err.Error(), "look with the user that edge runs as"
		return f
	case !info.IsDir():
		f.Seen, f.Do = dir+" is no folder", "move it away, or name another folder as data_dir"
		return f
	}
	free, inodes, err := in.room(dir)
	if err != nil {
		f.Seen = fmt.Sprintf("%s: %v", dir, err)
		return f
	}
	strangers, strangersErr := foreign(dir, info)
	f.Seen = fmt.Sprintf("%s has %d MiB left", dir, free>>20)
	switch err := writable(dir); {
	case err != nil:
		f.Seen, f.Do = fmt.Sprintf("%s can't be written to: %v", dir, err), "look with the user that edge runs as; if it is that one, `chown` the folder to it, or free the disk"
	case free < leastBytes || inodes < leastInodes:
		f.Seen += fmt.Sprintf(" and %d inodes", inodes)
		f.Do = "free the disk: a certificate that can't be kept is not asked for"
	case strangers != "":
		f.Seen = fmt.Sprintf("%s belongs to another user than %s", strangers, dir)
		f.Do = fmt.Sprintf("`chown -R --reference=%s %s`, and run edge as one user", dir, filepath.Join(dir, "certificates"))
	case free < fewBytes || inodes < fewInodes:
		f.Result, f.Seen = Warn, f.Seen+fmt.Sprintf(" and %d inodes", inodes)
		f.Do = "free the disk, or move data_dir"
	case strangersErr != nil:
		f.Result, f.Seen, f.Do = Unknown, strangersErr.Error(), "look with the user that edge runs as"
	default:
		f.Result = OK
	}
	return f
}

// maxLooked bounds how many files are looked at.
const maxLooked = 20_000

var errEnough = errors.New("enough")

// foreign finds a file among the certificates that the owner of the data folder, whom edge runs as, can't read. One run
// by root leaves such files.
func foreign(dir string, info fs.FileInfo) (string, error) {
	owner := info.Sys().(*syscall.Stat_t).Uid
	found, looked := "", 0
	err := filepath.WalkDir(filepath.Join(dir, "certificates"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if looked++; looked > maxLooked {
			return errEnough
		}
		if st.Sys().(*syscall.Stat_t).Uid != owner {
			found = path
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) || errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return found, err
}
