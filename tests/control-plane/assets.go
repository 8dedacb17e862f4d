package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// notInVariables is what a server's name may hold and a variable's may not.
var notInVariables = regexp.MustCompile(`[^A-Z0-9]`)

// asset is the program to run for a server: the one that the variables of controller-runtime's envtest name
// (TEST_ASSET_KUBE_APISERVER as a path, then KUBEBUILDER_ASSETS as a folder), or else this program.
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
