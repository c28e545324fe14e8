package strapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/onehost/edge/core/fault"
)

// Bounds of what is imported at once.
const (
	MaxBatch   = 100     // records
	batchBytes = 8 << 20 // of lines, after which no more join
)

// Encode is the record as one line, its end of line included.
func (r Record) Encode() ([]byte, error) {
	line, err := json.Marshal(r) //nolint:gosec // the hash of a password is part of what is taken over
	if err == nil && len(line) >= MaxRecord {
		err = fmt.Errorf("%s %s has %d bytes: at most %d are taken: %w", r.Type, r.Document, len(line), MaxRecord, fault.TooLarge)
	}
	return append(line, '\n'), err
}

// Decode reads the line of one record.
func Decode(line []byte) (Record, error) {
	var r Record
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	d.DisallowUnknownFields()
	err := d.Decode(&r)
	if err == nil && d.More() {
		err = errTooMuch
	}
	if err != nil {
		return Record{}, fmt.Errorf("a line is not a record of an import: %w: %w", err, fault.Invalid)
	}
	return r, nil
}

// Batches reads lines of records, as many at once as [Importer.Import] takes.
func Batches(from io.Reader) iter.Seq2[[]Record, error] {
	return func(yield func([]Record, error) bool) {
		lines := bufio.NewScanner(from)
		lines.Buffer(make([]byte, 64<<10), MaxRecord)
		var batch []Record
		size := 0
		for lines.Scan() {
			r, err := Decode(lines.Bytes())
			if err != nil {
				yield(nil, err)
				return
			}
			batch = append(batch, r)
			if size += len(lines.Bytes()); len(batch) < MaxBatch && size < batchBytes {
				continue
			}
			if !yield(batch, nil) {
				return
			}
			batch, size = nil, 0
		}
		err := lines.Err()
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("a line has more than %d bytes: %w", MaxRecord, fault.TooLarge)
		}
		if err != nil || len(batch) > 0 {
			yield(batch, err)
		}
	}
}
