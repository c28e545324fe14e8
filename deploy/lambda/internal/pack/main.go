// Command pack makes the zip file of a Lambda function: PROGRAM, under the name bootstrap, which is what provided.al2023 starts. The same program
// always makes the same bytes.
//
//	pack PROGRAM FUNCTION.zip
package main

import (
	"archive/zip"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pack PROGRAM FUNCTION.zip")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func pack(program, to string) (err error) {
	from, err := os.Open(program) //nolint:gosec // whoever builds names it
	if err != nil {
		return err
	}
	defer from.Close()
	file, err := os.Create(to) //nolint:gosec // whoever builds names it
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	archive := zip.NewWriter(file)
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)} // the first time that zip files know
	header.SetMode(0o755)
	w, err := archive.CreateHeader(header)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, from); err != nil {
		return err
	}
	return archive.Close()
}
