package site

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/bits"
	"os"
	"runtime"
	"slices"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// coding is a content coding (RFC 9110, section 8.4.1).
type coding int

const (
	identity coding = iota
	gzipped
	brotlied
	zstandard
	codings // how many there are
)

// String returns the name that Content-Encoding says.
func (c coding) String() string {
	return [codings]string{"identity", "gzip", "br", "zstd"}[c]
}

const (
	// minCompressed is the size in bytes below which a file travels in one packet anyway.
	minCompressed = 512
	// maxBestBrotli is the size in bytes above which brotli's best level, a second for 250 KB, is not worth its time.
	maxBestBrotli = 1 << 20
	// zstdWindow is the largest that a browser has to accept, in bytes (RFC 9659).
	zstdWindow = 8 << 20
)

// compressor compresses at the best levels that make sense: what it does once saves something on every answer.
// Its zstd encoder is set up once, because that takes longer than to compress a small file.
type compressor struct{ zstd *zstd.Encoder }

func newCompressor(workers int) compressor {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(zstdWindow), zstd.WithEncoderConcurrency(workers))
	if err != nil {
		panic(err) // it is about the options
	}
	return compressor{encoder}
}

func (c compressor) close() { _ = c.zstd.Close() } // had no stream to write

// compress returns data in a coding, or nothing if that is not worth it. It gives up when ctx is done, but for zstd, which
// takes at most some seconds.
func (c compressor) compress(ctx context.Context, to coding, data []byte) ([]byte, error) {
	var out []byte
	var err error
	switch to {
	case gzipped:
		out, err = through(ctx, data, func(w io.Writer) (io.WriteCloser, error) {
			return gzip.NewWriterLevel(w, gzip.BestCompression)
		})
	case brotlied:
		// A window no larger than the file is set up faster. Brotli takes 16 bytes of it for itself.
		o := brotli.WriterOptions{Quality: brotli.BestCompression, LGWin: min(bits.Len(uint(len(data)+16)), 22)}
		if len(data) > maxBestBrotli {
			o.Quality = 9
		}
		out, err = through(ctx, data, func(w io.Writer) (io.WriteCloser, error) {
			return brotli.NewWriterOptions(w, o), nil
		})
	case zstandard:
		out = c.zstd.EncodeAll(data, nil)
	case identity, codings: // neither is a compressor
	}
	if err != nil || len(out) > len(data)-len(data)/20 { // less than a twentieth saved
		return nil, err
	}
	return bytes.Clone(out), nil // without the room that it grew into
}

// through writes data through a compressor a bit at a time.
func through(ctx context.Context, data []byte, writer func(io.Writer) (io.WriteCloser, error)) ([]byte, error) {
	var b bytes.Buffer
	w, err := writer(&b)
	if err != nil {
		return nil, err
	}
	for rest := data; len(rest) > 0; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(len(rest), chunkSize)
		if _, err := w.Write(rest[:n]); err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	err = w.Close()
	return b.Bytes(), err
}

// job is a variant that is still to be made: a file in a coding, or the ETag of a file on disk.
type job struct {
	file   *file
	coding coding
}

func jobsOf(f *file) []job {
	switch {
	case f.data == nil:
		return []job{{f, identity}}
	case f.compressible && f.size >= minCompressed:
		return []job{{f, gzipped}, {f, zstandard}, {f, brotlied}}
	}
	return nil
}

// cost is about how long a job takes, as measured, in nanoseconds.
func (j job) cost() int64 {
	return j.file.size * [codings]int64{identity: 1, gzipped: 70, brotlied: 4000, zstandard: 160}[j.coding]
}

func sortJobs(jobs []job) {
	slices.SortStableFunc(jobs, func(a, b job) int { return cmp.Compare(a.cost(), b.cost()) })
}

// Run compresses and hashes what Open left, prunes the cache, and returns when that is done or ctx is.
// It leaves a processor to those who serve. It always returns nil: a site without its compressed files still serves.
func (s *Site) Run(ctx context.Context) error {
	s.work(ctx, max(1, runtime.GOMAXPROCS(0)-1))
	if ctx.Err() == nil {
		s.cache.prune(cacheBytes, cacheAge)
	}
	return nil
}

// work does the jobs until there are none or ctx is done.
func (s *Site) work(ctx context.Context, workers int) {
	c := newCompressor(workers)
	defer c.close()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				j, ok := s.nextJob()
				if !ok {
					return
				}
				if err := s.do(ctx, c, j); err != nil {
					s.giveBack(j)
				}
			}
		})
	}
	wg.Wait()
}

func (s *Site) nextJob() (job, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.jobs) == 0 {
		return job{}, false
	}
	j := s.jobs[0]
	s.jobs = s.jobs[1:]
	return j, true
}

// giveBack puts a job back that was broken off.
func (s *Site) giveBack(j job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs = append(s.jobs, j)
	sortJobs(s.jobs)
}

// do makes one variant. Its only error is that ctx is done.
func (s *Site) do(ctx context.Context, c compressor, j job) error {
	if j.coding == identity {
		return s.hashOnDisk(ctx, j.file)
	}
	data, ok := s.cache.load(j.file.hash, j.coding)
	if !ok {
		var err error
		if data, err = c.compress(ctx, j.coding, j.file.data); err != nil {
			return err
		}
		s.cache.save(j.file.hash, j.coding, data)
	}
	if len(data) > 0 {
		s.publish(j.file, j.file.variant(j.coding, data, int64(len(data)), sha256.Sum256(data), j.file.info.ModTime()))
	}
	return nil
}

func (s *Site) publish(f *file, v variant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.publish(v)
}

// hashOnDisk gives a file that is served from disk its ETag. If it can't be read or has changed it stays without.
func (s *Site) hashOnDisk(ctx context.Context, f *file) error {
	root, err := os.OpenRoot(s.root)
	if err != nil {
		return nil // whoever asks for the file is told, and so is the log
	}
	defer func() { _ = root.Close() }() // was only read from
	opened, info, err := openRegular(root, f.name)
	if err != nil {
		return nil
	}
	d := disk{File: opened, info: info}
	defer func() { _ = d.Close() }() // was only read from
	if !sameVersion(info, f.info) {
		return nil
	}
	sum := sha256.New()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := io.CopyN(sum, opened, maxPlainFile); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil
		}
	}
	if !d.changed() {
		s.publish(f, f.plain(f.size, [sha256.Size]byte(sum.Sum(nil))))
	}
	return nil
}
