package main

import "syscall"

// leash makes a child that the kernel kills when the thread that started it ends, however it ends. Start it from the
// main thread, which lives as long as the process.
func leash() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
