package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// servers are the programs for which the variables of controller-runtime's envtest can name others.
var servers = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kubelet"}

// notInVariables is what a server's name may hold and a variable's may not.
var notInVariables = regexp.MustCompile(`[^A-Z0-9]`)

// asset is the program to run for a server: the one that the variables name (TEST_ASSET_KUBE_APISERVER as a path, then
// KUBEBUILDER_ASSETS as a folder), or else this program.
func asset(name string) (string, error) {
	variable := "TEST_ASSET_" + notInVariables.ReplaceAllString(strings.ToUpper(name), "_")
	if path := os.Getenv(variable); path != "" {
		return path, nil
	}
	if folder := os.Getenv("KUBEBUILDER_ASSETS"); folder != "" {
		path := filepath.Join(folder, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return os.Executable()
}

// yield becomes the program that the variables name for a server, if that is another than this one.
func yield(name string, arguments []string) {
	if !slices.Contains(servers, name) {
		return
	}
	path, err := asset(name)
	if err != nil {
		fail("cannot tell what to run for %s: %v", name, err)
	}
	if isThis(path) {
		return
	}
	err = syscall.Exec(path, append([]string{name}, arguments...), os.Environ())
	fail("cannot run `%s` for %s: %v", path, name, err)
}

// isThis tells whether a path leads to this very program, by links too.
func isThis(path string) bool {
	self, err := os.Executable()
	if err != nil {
		return false
	}
	one, err := os.Stat(self)
	if err != nil {
		return false
	}
	other, err := os.Stat(path)
	return err == nil && os.SameFile(one, other)
}
