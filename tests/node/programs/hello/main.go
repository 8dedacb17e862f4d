// Command hello is all that the tests' images hold: it says hello and stays until it is told to end.
//
// In: `end` as its first argument if it is to end at once, or nothing. Out: one line.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	fmt.Println("hello")
	if len(os.Args) < 2 || os.Args[1] != "end" {
		// The first process of a container dies of no signal that it does not ask for.
		ending := make(chan os.Signal, 1)
		signal.Notify(ending, syscall.SIGINT, syscall.SIGTERM)
		<-ending
	}
}
