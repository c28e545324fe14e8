package front

import (
	"encoding/binary"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// A breather lets everybody else go first who has something to do: not only the goroutines that are ready to run, as runtime.Gosched,
// but also those that the kernel has something for by now. Go asks the kernel only when a processor has nothing else to do, or after
// 10 ms: where one piece of work always follows another, visitors' requests would wait that long to be seen.
//
// It does so by having the kernel wake it, behind all others whom it has to wake.
type breather struct {
	file *os.File // an eventfd; nil: there is none
	raw  syscall.RawConn
}

func newBreather() *breather {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return &breather{}
	}
	b := &breather{file: os.NewFile(uintptr(fd), "eventfd")}
	if b.raw, err = b.file.SyscallConn(); err != nil {
		b.file.Close()
		return &breather{}
	}
	return b
}

// breathe is for one goroutine at a time. What is written is never read: each write is an event of its own to the runtime's epoll,
// which is edge-triggered.
func (b *breather) breathe() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	rung := false
	if b.raw == nil || b.raw.Read(func(fd uintptr) bool {
		if rung {
			return true
		}
		rung = true
		_, err := unix.Write(int(fd), one[:])
		return err != nil // false: wait for the event
	}) != nil {
		runtime.Gosched()
	}
}

func (b *breather) close() {
	if b.file != nil {
		b.file.Close()
	}
}
