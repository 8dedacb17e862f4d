// Command build makes the control-plane program once per machine and says where it is.
//
//	go run ./build
//
// In: the sources of the folder that it is run in. Out: the program's path on standard output, its progress on standard
// error. The program is kept in ${XDG_CACHE_HOME:-~/.cache}/pullkey-tests under a hash of all that it is made from; a
// file lock keeps two builds from doing the same work at once.
package main

import (
	"bufio"
	"crypto/sha256"
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

const (
	program = "control-plane"
	// withoutServers leaves out what takes minutes, where binaries of the contributor's own take its place.
	withoutServers = "without_servers"
)

func main() {
	path, err := build()
	if err != nil {
		fmt.Fprintf(os.Stderr, "error: cannot build the control plane of the tests: %v\n", err)
		os.Exit(1)
	}
	fmt.Println(path)
}

func build() (string, error) {
	tags := ""
	if serversAreGiven() {
		tags = withoutServers
	}
	hash, err := fingerprint(tags)
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
	unlock, err := lock(filepath.Join(folder, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	path := filepath.Join(folder, program)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	unfinished := path + ".unfinished"
	if err := compile(unfinished, tags); err != nil {
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
func fingerprint(tags string) (string, error) {
	sources, err := filepath.Glob("*.go")
	if err != nil {
		return "", err
	}
	sources = append(sources, "build/main.go", "go.mod", "go.sum")
	slices.Sort(sources)
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOOS, runtime.GOARCH, tags)
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
func lock(path string) (func(), error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		fmt.Fprintln(os.Stderr, "waiting for another build of the control plane")
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
			return nil, err
		}
	}
	// Closing releases the lock.
	return func() { _ = file.Close() }, nil
}

func compile(output, tags string) error {
	version, err := ask("list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")
	if err != nil {
		return err
	}
	packages, err := ask("list", "-deps", "-tags="+tags, ".")
	if err != nil {
		return err
	}
	progress := progress{total: strings.Count(packages, "\n"), start: time.Now()}
	command := exec.Command("go", "build", "-v", "-mod=readonly", "-trimpath",
		"-tags="+tags, "-ldflags="+linkerFlags(strings.TrimSpace(version)), "-o", output, ".")
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
	fmt.Fprintf(os.Stderr, "built the control plane in %s\n", time.Since(progress.start).Round(time.Second))
	return nil
}

// linkerFlags say which Kubernetes it is, as the upstream build does: clients read the version.
func linkerFlags(version string) string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	flags := []string{"-s", "-w"}
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
			fmt.Fprintf(os.Stderr, "building the control plane of the tests, once per machine: %d of at most %d packages, %s\n",
				p.done, p.total, time.Since(p.start).Round(time.Second))
		}
	}
	return rest.String()
}
