package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

func init() {
	commands["hold"] = hold
	// The main goroutine keeps the main thread: see leash.
	runtime.LockOSThread()
}

// hold runs a command that dies with this process, and with whoever holds the other end of standard input: a test
// process can be killed at any time, and what it started must not outlive it. Signals are passed on, TSTP as STOP, which
// this program could not catch, and the command's exit status is this program's.
func hold(arguments []string) {
	if len(arguments) == 0 {
		fail("`hold` wants a command to run")
	}
	command := exec.Command(arguments[0], arguments[1:]...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.SysProcAttr = leash()
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGTSTP, syscall.SIGCONT)
	if err := command.Start(); err != nil {
		fail("cannot run `%s`: %v", arguments[0], err)
	}
	go func() {
		for received := range signals {
			if received == syscall.SIGTSTP {
				received = syscall.SIGSTOP
			}
			_ = command.Process.Signal(received)
		}
	}()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = command.Process.Kill()
	}()
	err := command.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit) && exit.Exited():
		os.Exit(exit.ExitCode())
	case errors.As(err, &exit):
		// As a shell says it.
		os.Exit(128 + int(exit.Sys().(syscall.WaitStatus).Signal()))
	default:
		fail("cannot wait for `%s`: %v", arguments[0], err)
	}
}
