// Command programs is what the tests on a real node need besides Kubernetes and containerd, in one program of many
// names.
//
// In: a name as its first argument, and that command's arguments. Out: what the command does.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// commands are filled by the file of each command.
var commands = map[string]func(arguments []string){}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		var names []string
		for name := range commands {
			names = append(names, name)
		}
		slices.Sort(names)
		fail("a command is wanted\nhint: one of %s", strings.Join(names, ", "))
	}
	commands[os.Args[1]](os.Args[2:])
}

// fail says why on standard error and ends the program.
func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "error: "+format+"\n", values...)
	os.Exit(1)
}

// must ends the program if something did not work.
func must(what string, err error) {
	if err != nil {
		fail("cannot %s: %v", what, err)
	}
}
