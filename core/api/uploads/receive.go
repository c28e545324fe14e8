package uploads

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/onehost/edge/core/api/problem"
)

// received is what a request brought. Its files wait in the folder of those that have no entry yet.
type received struct {
	files []*waiting
	infos []info
}

// waiting is a file that has come.
type waiting struct {
	*os.File
	kind
	name  string // that it will be kept as
	given string // as the client calls it
	size  int64
	doubt bool // whether it has an entry: the sweep finds out
}

// info is what a client says of a file. What it does not say, other is.
type info struct {
	Name            *string  `json:"name"`
	AlternativeText *string  `json:"alternativeText"`
	Caption         *string  `json:"caption"`
	has             []string // keys that are there
}

// discard removes what waits.
func (r *received) discard() {
	for _, f := range r.files {
		_ = f.Close()
		if !f.doubt {
			_ = os.Remove(f.Name()) // what stays, the next sweep removes
		}
	}
}

// receive reads a request's body. What it returns has to be discarded, after an error as well.
func (s *state) receive(w http.ResponseWriter, r *http.Request) (*received, error) {
	got := &received{}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	r.Body = http.MaxBytesReader(w, r.Body, MaxFiles*int64(s.Size)+maxBeside)
	switch media {
	case "multipart/form-data":
		parts, err := r.MultipartReader()
		if err != nil {
			return got, problem.Validation("The body is no form: %v", err)
		}
		return got, s.readParts(parts, got)
	case "application/json":
		var body struct {
			FileInfo json.RawMessage `json:"fileInfo"`
		}
		err := json.NewDecoder(io.LimitReader(r.Body, maxInfo)).Decode(&body)
		if err == nil && body.FileInfo != nil {
			got.infos, err = parseInfo(body.FileInfo)
		}
		if err != nil {
			return got, asProblem(err)
		}
	}
	return got, nil
}

func (s *state) readParts(parts *multipart.Reader, got *received) error {
	for n := 0; ; n++ {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && n >= maxParts {
			err = problem.Validation("The form has more than %d parts", maxParts)
		}
		if err == nil {
			err = s.readPart(part, got)
		}
		if err != nil {
			return asProblem(err)
		}
	}
}

func (s *state) readPart(part *multipart.Part, got *received) error {
	switch name := part.FormName(); {
	case (name == "files" || strings.HasPrefix(name, "files[")) && part.FileName() != "":
		if len(got.files) == MaxFiles {
			return tooLarge("The form has more than %d files", MaxFiles)
		}
		return s.save(part, part.FileName(), got)
	case name == "fileInfo":
		text, err := io.ReadAll(io.LimitReader(part, maxInfo+1))
		if err != nil {
			return err
		}
		if len(text) > maxInfo {
			return tooLarge("fileInfo has more than %d bytes", maxInfo)
		}
		infos, err := parseInfo(text)
		got.infos = append(got.infos, infos...)
		return err
	case name == "ref" || name == "refId" || name == "field" || name == "source":
		return problem.Validation("%s is not taken: send the file, then write its id into the entry", name)
	}
	return nil // anything else is of no meaning, as in Strapi
}

// save writes a file to the disk, and looks at what it is.
func (s *state) save(from io.Reader, given string, got *received) error {
	given = tidy(given)
	if err := s.room(); err != nil {
		return err
	}
	name := strings.ToLower(rand.Text())
	f, err := os.OpenFile(filepath.Join(s.Folder, incoming, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return explain(err)
	}
	one := &waiting{File: f, given: given}
	got.files = append(got.files, one)
	if one.size, err = io.Copy(f, io.LimitReader(from, int64(s.Size)+1)); err != nil {
		return explain(err)
	}
	if one.size > int64(s.Size) {
		return tooLarge("%s has more than %d bytes, which is all that is taken", given, int64(s.Size))
	}
	if one.kind, err = s.inspect(f, given); err != nil {
		return err
	}
	one.name = name + one.extension
	return nil
}

// tidy is a file's name for people: without what moves a terminal's cursor, and not longer than a text may be.
func tidy(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar || r > unicode.MaxRune-1 {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	if runes := []rune(name); len(runes) > 120 {
		name = string(runes[:100]) + string(runes[len(runes)-20:])
	}
	if strings.TrimSpace(name) == "" {
		return "file"
	}
	return name
}

// parseInfo reads what is said of one file, or a list.
func parseInfo(text []byte) ([]info, error) {
	var raw []json.RawMessage
	if json.Unmarshal(text, &raw) != nil {
		raw = []json.RawMessage{text}
	}
	if len(raw) > MaxFiles {
		return nil, problem.Validation("fileInfo is of more than %d files", MaxFiles)
	}
	infos := make([]info, len(raw))
	for i, one := range raw {
		var keys map[string]json.RawMessage
		err := json.Unmarshal(one, &keys)
		if err == nil {
			err = json.Unmarshal(one, &infos[i])
		}
		if err != nil {
			return nil, problem.Validation("fileInfo is {\"name\": …, \"alternativeText\": …, \"caption\": …} in JSON, or a list of these, and all are texts")
		}
		for key := range keys {
			infos[i].has = append(infos[i].has, key)
		}
	}
	return infos, nil
}

// asProblem says what a body that could not be read means.
func asProblem(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem.TooLarge()
	}
	if _, ok := errors.AsType[*problem.Error](err); ok {
		return err
	}
	if _, ok := errors.AsType[*os.PathError](err); ok {
		return err
	}
	return problem.Validation("The body could not be read: %v", err)
}
