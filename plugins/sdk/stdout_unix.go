//go:build unix

package sdk

import (
	"os"
	"syscall"
)

// takeStdout is what standard output was, for the handshake alone. From now on file descriptor 1 is standard error, which edge reads as the log: for fmt.Print,
// C code and programs that the plugin starts.
func takeStdout() (*os.File, error) {
	syscall.ForkLock.RLock() // no program that is started meanwhile inherits it
	saved, err := syscall.Dup(syscall.Stdout)
	if err == nil {
		syscall.CloseOnExec(saved)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	if err := duplicate(syscall.Stderr, syscall.Stdout); err != nil {
		return nil, os.NewSyscallError("dup2", err)
	}
	return os.NewFile(uintptr(saved), "handshake"), nil
}
