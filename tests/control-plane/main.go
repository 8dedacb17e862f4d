// Command control-plane is all that the end-to-end tests need of Kubernetes, in one program of many names: the real
// servers and kubectl, what keeps them on a leash, and the kubelet's own judgement of images and pull secrets.
//
// In: a name, as the program's own (a link) or as its first argument, and that command's arguments. Out: what the
// command does. The Kubernetes commands keep state for a whole process, so each of them runs in a process of its own.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// commands are filled by the file of each command, so that the servers can be left out of the build: they take minutes.
var commands = map[string]func(arguments []string){}

func main() {
	name := filepath.Base(os.Args[0])
	if _, isOurs := commands[name]; !isOurs && !slices.Contains(servers, name) && len(os.Args) > 1 {
		// The Kubernetes commands read os.Args themselves.
		os.Args = os.Args[1:]
		name = os.Args[0]
	}
	yield(name, os.Args[1:])
	command, isKnown := commands[name]
	if !isKnown {
		var names []string
		for name := range commands {
			names = append(names, name)
		}
		slices.Sort(names)
		fail("there is no command `%s` here\nhint: one of %s", name, strings.Join(names, ", "))
	}
	command(os.Args[1:])
}

// fail says why on standard error and ends the program.
func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "error: "+format+"\n", values...)
	os.Exit(1)
}
