package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"unicode/utf8"
)

// A source is one file of the configuration.
type source struct {
	name   string // as in problems
	dir    string // absolute: what relative paths in it are relative to
	text   string
	starts []int // where each line begins
	steps  map[int][]int
}

// Limits that keep a bad file from taking the process with it.
const (
	maxFile     = 1 << 20 // bytes of one file
	maxIncludes = 256     // files in all
	maxNesting  = 8       // includes in includes
	maxDepth    = 32      // mappings and lists in each other
	maxNodes    = 100_000 // keys and values of all files, aliases counted as often as they are used
	maxProblems = 1_000   // more help nobody
	maxExpanded = 1 << 20 // bytes of one scalar once expanded
	maxFetched  = 8 << 20 // bytes of all files that scalars name
)

// openSource reads a file of the configuration.
func openSource(name string) (*source, error) {
	text, err := readFile(name, maxFile)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	return newSource(name, dir, text), nil
}

func newSource(name, dir, text string) *source {
	s := &source{name: name, dir: dir, text: strings.TrimPrefix(text, "\ufeff"), starts: []int{0}, steps: map[int][]int{}}
	for i := range len(s.text) {
		if s.text[i] == '\n' && i+1 < len(s.text) {
			s.starts = append(s.starts, i+1)
		}
	}
	return s
}

// readFile reads a regular file of at most limit bytes: a device or a pipe could block for ever.
func readFile(name string, limit int64) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", bare(err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("it is not a regular file")
	}
	f, err := os.Open(name)
	if err != nil {
		return "", bare(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return "", bare(err)
	}
	if int64(len(b)) > limit {
		return "", fmt.Errorf("it is larger than %d KiB", limit>>10)
	}
	return string(b), nil
}

// bare takes the operation and the path from an error, which the message names already.
func bare(err error) error {
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// resolve makes a path absolute that stands in the file.
func (s *source) resolve(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(s.dir, path)
}

// line returns a line of the text, counted from 1, without its end.
func (s *source) line(n int) string {
	if n < 1 || n > len(s.starts) {
		return ""
	}
	end := len(s.text)
	if n < len(s.starts) {
		end = s.starts[n]
	}
	return strings.TrimRight(s.text[s.starts[n-1]:end], "\r\n")
}

// at returns the place of a line and of a column counted in characters, as YAML counts them.
// A place after the end of the text becomes the end of its last line.
func (s *source) at(line, column int) place {
	if line > len(s.starts) {
		line, column = len(s.starts), len(s.text)+1
	}
	line = max(line, 1)
	return place{file: s.name, line: line, col: s.bytes(line, max(column, 1)-1) + 1}
}

// stride is how many characters lie between two steps.
const stride = 64

// bytes returns how many bytes the first characters of a line are. It remembers where every 64th character of the line
// is, because a line can be as long as the file and hold each of its values.
func (s *source) bytes(line, characters int) int {
	text := s.line(line)
	steps, ok := s.steps[line]
	if !ok {
		n := 0
		for i := range text {
			if n%stride == 0 {
				steps = append(steps, i)
			}
			n++
		}
		s.steps[line] = steps
	}
	if characters/stride >= len(steps) {
		return len(text)
	}
	offset := steps[characters/stride]
	for range characters % stride {
		_, size := utf8.DecodeRuneInString(text[offset:])
		offset += size
	}
	return offset
}

// atByte returns the place of an offset in the text.
func (s *source) atByte(offset int) place {
	offset = min(max(offset, 0), len(s.text))
	line := sort.SearchInts(s.starts, offset+1)
	return place{file: s.name, line: line, col: min(offset-s.starts[line-1], len(s.line(line))) + 1}
}

// unreadable finds the first byte or character that makes lines look different to YAML and to an editor,
// or that no text has. It returns -1 if there is none.
func (s *source) unreadable() (offset int, why string) {
	for i, r := range s.text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s.text[i:], "\ufffd"):
			return i, "the file is not UTF-8 here"
		case r == '\r' && !strings.HasPrefix(s.text[i:], "\r\n"):
			return i, "a carriage return stands alone; lines end in a newline"
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f:
			return i, fmt.Sprintf("a control character stands here; in double quotes it is written as \\x%02x", r)
		case r >= 0x80 && r < 0xa0, r == '\u2028', r == '\u2029', r == '\ufeff', r == '\ufffe', r == '\uffff':
			return i, fmt.Sprintf("an invisible character stands here; in double quotes it is written as \\u%04x", r)
		}
	}
	return -1, ""
}
