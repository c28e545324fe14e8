//go:build unix && !linux

package sdk

import "syscall"

// duplicate makes to the same file as from.
func duplicate(from, to int) error { return syscall.Dup2(from, to) }
