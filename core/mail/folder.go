package mail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// folder keeps each letter as a file ID.eml, which mail programs open. Only its owner may read it. A repeat takes the place of the first one.
type folder struct{ path string }

func newFolder(path string) (*folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("folder: %w", err)
	}
	return &folder{path}, nil
}

func (f *folder) carry(ctx context.Context, l *letter) error {
	if err := context.Cause(ctx); err != nil {
		return unavailable(err, "it was not written")
	}
	if err := f.write(l.id+".eml", l.bytes); err != nil {
		return unavailable(err, "it could not be written into the folder")
	}
	return nil
}

// write makes the file appear whole, or not at all.
func (f *folder) write(name string, content []byte) (err error) {
	file, err := os.CreateTemp(f.path, ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), filepath.Join(f.path, name))
}
