package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"os"
	"path/filepath"
	"strings"

	"github.com/onehost/edge/edge/internal/admin"
)

// writeFiles writes the files of a submission into a folder, each under its number and field: what visitors call them is shown, and names nothing here.
func (c *cli) writeFiles(ctx context.Context, id, folder string) error {
	event, err := askFor(ctx, c, (*admin.Client).SubmissionEvent, id)
	if err != nil {
		return err
	}
	parts, err := filesIn(event)
	if err != nil {
		return fmt.Errorf("the submission %s: %w", id, err)
	}
	if len(parts) == 0 {
		return fmt.Errorf("the submission %s has no files", id)
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	for n, part := range parts {
		name := filepath.Join(folder, fmt.Sprintf("%s-%d-%s", id, n+1, plainName(part.field)))
		if err := writeNew(name, part.data); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s  %s, %d bytes\n", name, printable(part.name, 200), len(part.data))
	}
	return nil
}

// sentFile is a file in the body of an event.
type sentFile struct {
	field, name string
	data        []byte
}

// filesIn are the files in the body of an event in API Gateway's payload format 2.0.
func filesIn(event json.RawMessage) ([]sentFile, error) {
	var e struct {
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
		Base64  bool              `json:"isBase64Encoded"`
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, err
	}
	body := []byte(e.Body)
	if e.Base64 {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, err
		}
	}
	media, parameters, _ := mime.ParseMediaType(e.Headers["content-type"])
	if media != "multipart/form-data" { // what has no type, or one that can't be read, has no files either
		return nil, nil
	}
	var files []sentFile
	for parts := multipart.NewReader(bytes.NewReader(body), parameters["boundary"]); ; {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if part.FileName() == "" {
			continue
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return nil, err
		}
		files = append(files, sentFile{part.FormName(), part.FileName(), data})
	}
}

// plainName is a text as a part of a file's name.
func plainName(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z') {
			return r
		}
		return '_'
	}, text)
}
