// Command build makes the programs of the tests once per machine and says where they are.
//
//	go run ./build        # the control plane
//	go run ./build node   # what a node needs besides, of tests/node/programs
//
// In: the sources of the folder that it is run in, or of the node's. Out: the path of the program, or of the folder with
// the node's, on standard output, its progress on standard error. What is built is kept in
// ${XDG_CACHE_HOME:-~/.cache}/pullkey-tests under a hash of all that it is made from; a file lock keeps two builds from
// doing the same work at once.
package main

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// thisFile counts among the sources of all that it builds.
//
//go:embed main.go
var thisFile string

// withoutServers leaves out what takes minutes, where binaries of the contributor's own take its place.
const withoutServers = "without_servers"

// product is what is built of one module.
type product struct {
	// title is what it is called in messages.
	title string
	// output is the name of the program, or of a folder with one program a package.
	output   string
	packages []string
	// sources are what it is made from, besides this file.
	sources []string
	tags    string
	// version is of the module that the linker is told the version of, if any.
	version string
}

func controlPlane() product {
	tags := ""
	if serversAreGiven() {
		tags = withoutServers
	}
	return product{
		title: "the control plane", output: "control-plane", packages: []string{"."},
		sources: []string{"*.go", "go.mod", "go.sum"}, tags: tags, version: "k8s.io/kubernetes",
	}
}

func node() product {
	return product{
		title: "the node", output: "node/", packages: []string{
			".", "./hello",
			"github.com/containerd/containerd/v2/cmd/containerd",
			"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
			"github.com/containernetworking/plugins/plugins/ipam/host-local",
			"github.com/containernetworking/plugins/plugins/main/bridge",
		},
		sources: []string{"*.go", "*/*.go", "go.mod", "go.sum"},
		tags:    "no_btrfs,no_zfs,no_devmapper,no_aufs,no_tracing",
	}
}

func main() {
	wanted := controlPlane()
	if len(os.Args) > 1 && os.Args[1] == "node" {
		// The compiler takes a module by the folder it is run in.
		if err := os.Chdir("../node/programs"); err != nil {
			fail(node(), err)
		}
		wanted = node()
	}
	path, err := wanted.build()
	if err != nil {
		fail(wanted, err)
	}
	fmt.Println(path)
}

func fail(wanted product, err error) {
	fmt.Fprintf(os.Stderr, "error: cannot build %s of the tests: %v\n", wanted.title, err)
	os.Exit(1)
}

func (wanted product) build() (string, error) {
	hash, err := wanted.fingerprint()
	if err != nil {
		return "", err
	}
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, hash)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	unlock, err := wanted.lock(filepath.Join(folder, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	path := filepath.Join(folder, wanted.output)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	unfinished := filepath.Join(folder, "unfinished")
	if strings.HasSuffix(wanted.output, "/") {
		// What says to the compiler that it is a folder.
		unfinished += "/"
	}
	if err := wanted.compile(unfinished); err != nil {
		return "", err
	}
	return path, os.Rename(unfinished, path)
}

// serversAreGiven tells whether the variables of envtest name every server.
func serversAreGiven() bool {
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kubectl"} {
		variable := "TEST_ASSET_" + strings.ReplaceAll(strings.ToUpper(name), "-", "_")
		_, err := os.Stat(filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), name))
		isInFolder := os.Getenv("KUBEBUILDER_ASSETS") != "" && err == nil
		if os.Getenv(variable) == "" && !isInFolder {
			return false
		}
	}
	return true
}

// fingerprint is a hash of the sources, of the sums of all modules, and of the compiler.
func (wanted product) fingerprint() (string, error) {
	var sources []string
	for _, pattern := range wanted.sources {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		sources = append(sources, found...)
	}
	slices.Sort(sources)
	hash := sha256.New()
	fmt.Fprintln(hash, thisFile, runtime.Version(), runtime.GOOS, runtime.GOARCH, wanted.tags)
	for _, source := range sources {
		content, err := os.ReadFile(source)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(hash, source, len(content))
		hash.Write(content)
	}
	return hex.EncodeToString(hash.Sum(nil)[:16]), nil
}

func cacheFolder() (string, error) {
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(home, ".cache")
	}
	return filepath.Join(cache, "pullkey-tests"), nil
}

// lock waits for the file's lock and gives what releases it.
func (wanted product) lock(path string) (func(), error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		fmt.Fprintf(os.Stderr, "waiting for another build of %s\n", wanted.title)
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
			return nil, err
		}
	}
	// Closing releases the lock.
	return func() { _ = file.Close() }, nil
}

func (wanted product) compile(output string) error {
	flags := "-s -w"
	if wanted.version != "" {
		version, err := ask("list", "-m", "-f", "{{.Version}}", wanted.version)
		if err != nil {
			return err
		}
		flags += " " + linkerFlags(strings.TrimSpace(version))
	}
	packages, err := ask(append([]string{"list", "-deps", "-tags=" + wanted.tags}, wanted.packages...)...)
	if err != nil {
		return err
	}
	progress := progress{title: wanted.title, total: strings.Count(packages, "\n"), start: time.Now()}
	command := exec.Command("go", append([]string{"build", "-v", "-mod=readonly", "-trimpath",
		"-tags=" + wanted.tags, "-ldflags=" + flags, "-o", output}, wanted.packages...)...)
	command.Env = environment()
	messages, err := command.StderrPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	rest := progress.follow(messages)
	if err := command.Wait(); err != nil {
		return fmt.Errorf("%w\n%s", err, rest)
	}
	fmt.Fprintf(os.Stderr, "built %s in %s\n", wanted.title, time.Since(progress.start).Round(time.Second))
	return nil
}

// linkerFlags say which Kubernetes it is, as the upstream build does: clients read the version.
func linkerFlags(version string) string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	var flags []string
	for _, place := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags = append(flags,
			"-X "+place+".gitVersion="+version, "-X "+place+".gitMajor="+parts[0], "-X "+place+".gitMinor="+parts[1])
	}
	return strings.Join(flags, " ")
}

func ask(arguments ...string) (string, error) {
	command := exec.Command("go", arguments...)
	command.Env = environment()
	command.Stderr = os.Stderr
	answer, err := command.Output()
	return string(answer), err
}

func environment() []string {
	// No package of it uses C, and no toolchain is to be downloaded.
	return append(os.Environ(), "CGO_ENABLED=0", "GOTOOLCHAIN=local")
}

// progress counts the packages that the compiler names.
type progress struct {
	title       string
	total, done int
	start, said time.Time
}

// follow reads the compiler's messages to their end, and gives those that name no package.
func (p *progress) follow(messages io.Reader) string {
	var rest strings.Builder
	lines := bufio.NewScanner(messages)
	for lines.Scan() {
		line := lines.Text()
		if strings.ContainsAny(line, " #:") {
			rest.WriteString(line + "\n")
			continue
		}
		p.done++
		if p.done == 1 || time.Since(p.said) >= 10*time.Second {
			p.said = time.Now()
			fmt.Fprintf(os.Stderr, "building %s of the tests, once per machine: %d of at most %d packages, %s\n",
				p.title, p.done, p.total, time.Since(p.start).Round(time.Second))
		}
	}
	return rest.String()
}
