package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// The format of a segment, version 1: records one after the other, each a head of headSize bytes, the name of its line, and its data. Numbers are little-endian.
//
//	 0  8  the segment's salt, which its name says
//	 8  4  CRC-32C of bytes 0 to 7 and 12 to 19
//	12  4  bytes of data
//	16  1  bytes of the line's name
//	17  3  0
//	20  4  CRC-32C of the name and the data, begun with that of the head
//	24  1  done, or anything else while the record is not drained; no checksum covers it
//	25  7  0
//
// The salt is random: so nothing that was sent, and nothing that another file has left on the disk, is ever taken for a record.
const (
	headSize  = 32
	stateAt   = 24
	done      = 0xff
	maxLine   = 255
	maxRecord = 16 << 20 // bytes of a record's data
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A head is what stands before a record.
type head struct {
	line, data int64 // bytes of each
	sum        uint32
	headSum    uint32
	done       bool
}

// size is how many bytes the whole record has.
func (h head) size() int64 { return headSize + h.line + h.data }

func headSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:8], castagnoli), castagnoli, b[12:20])
}

// appendRecord appends a record to b.
func appendRecord(b []byte, salt [8]byte, line string, data []byte) []byte {
	at := len(b)
	b = append(b, salt[:]...)
	b = append(b, make([]byte, headSize-len(salt))...)
	h := b[at:]
	binary.LittleEndian.PutUint32(h[12:], uint32(len(data)))
	h[16] = byte(len(line))
	sum := headSum(h)
	binary.LittleEndian.PutUint32(h[8:], sum)
	sum = crc32.Update(crc32.Update(sum, castagnoli, []byte(line)), castagnoli, data)
	binary.LittleEndian.PutUint32(h[20:], sum)
	return append(append(b, line...), data...)
}

// filler is the head of a record that is done, over size bytes that hold none.
func filler(salt [8]byte, size int64) []byte {
	h := appendRecord(nil, salt, "", nil)
	binary.LittleEndian.PutUint32(h[12:], uint32(size-headSize))
	binary.LittleEndian.PutUint32(h[8:], headSum(h))
	h[stateAt] = done
	return h
}

// readHead reads a head; false is none.
func readHead(b []byte, salt [8]byte) (head, bool) {
	h := head{
		headSum: binary.LittleEndian.Uint32(b[8:]), data: int64(binary.LittleEndian.Uint32(b[12:])), line: int64(b[16]),
		sum: binary.LittleEndian.Uint32(b[20:]), done: b[stateAt] == done,
	}
	if [8]byte(b) != salt || headSum(b) != h.headSum {
		return head{}, false
	}
	return h, h.data <= maxRecord || h.done
}

// errDamaged is a record that is not as it was written.
var errDamaged = errors.New("it is not as it was written (CRC-32C)")

// readBody reads the line and the data of the record whose head stands at an offset.
func readBody(r io.ReaderAt, offset int64, h head) (line string, data []byte, err error) {
	b := make([]byte, h.line+h.data)
	if _, err := r.ReadAt(b, offset+headSize); err != nil {
		return "", nil, fmt.Errorf("a record can't be read: %w", err)
	}
	if crc32.Update(h.headSum, castagnoli, b) != h.sum {
		return "", nil, errDamaged
	}
	return string(b[:h.line]), b[h.line:], nil
}

// A piece is what stands at an offset of a segment.
type piece struct {
	head // of a record
	kind kindOfPiece
	size int64 // bytes
}

type kindOfPiece int

const (
	record  kindOfPiece = iota
	damage              // up to the next record, or the end: there is no head where there has to be one
	torn                // up to the end: what a process that died in the middle of writing leaves
	nothing             // the end
)

// next returns the piece that begins at an offset of a segment that has end bytes. What is torn was never acknowledged: a write that ends early, or
// never reached the disk (zeros). Anything else that is no record may have been one.
func next(r io.ReaderAt, salt [8]byte, offset, end int64) (piece, error) {
	left := end - offset
	if left <= 0 {
		return piece{kind: nothing}, nil
	}
	if left < headSize {
		return piece{kind: torn, size: left}, nil
	}
	var b [headSize]byte
	if _, err := r.ReadAt(b[:], offset); err != nil {
		return piece{}, fmt.Errorf("a record can't be read: %w", err)
	}
	if h, ok := readHead(b[:], salt); ok {
		if h.size() > left {
			return piece{kind: torn, size: left}, nil
		}
		return piece{head: h, kind: record, size: h.size()}, nil
	}
	found, zeros, err := seek(r, salt, offset, end)
	if err != nil {
		return piece{}, err
	}
	if found == end && zeros {
		return piece{kind: torn, size: left}, nil
	}
	return piece{kind: damage, size: found - offset}, nil
}

// seek returns where the first head after offset begins that leaves room for a head before it, or end, and whether all before it are zeros.
func seek(r io.ReaderAt, salt [8]byte, offset, end int64) (found int64, zeros bool, err error) {
	const window = 1 << 20
	zeros = true
	b := make([]byte, min(window+headSize, end-offset))
	for at := offset; at < end; at += window {
		b := b[:min(int64(len(b)), end-at)]
		if _, err := r.ReadAt(b, at); err != nil {
			return 0, false, fmt.Errorf("a segment can't be read: %w", err)
		}
		for from := 0; ; {
			i := bytes.Index(b[from:], salt[:])
			if i < 0 || from+i+headSize > len(b) {
				break
			}
			from += i
			if _, ok := readHead(b[from:], salt); ok && at+int64(from) >= offset+headSize {
				return at + int64(from), zeros && allZero(b[:from]), nil
			}
			from++
		}
		zeros = zeros && allZero(b)
	}
	return end, zeros, nil
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
