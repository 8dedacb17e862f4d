//go:build !linux

package main

import "syscall"

// leash has no meaning to other kernels: there a child outlives this program if that is killed outright.
func leash() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{}
}
