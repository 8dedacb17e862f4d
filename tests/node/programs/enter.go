package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// bridge carries the node's address: a kubelet takes none of loopback. Pods are connected to it.
	bridge = "pullkey0"
	// own is where everything is that goes with the node; the node's programs are in its `bin`.
	own = "/run/pullkey"
)

var (
	nodeAddress = net.IPNet{IP: net.IPv4(10, 88, 0, 1), Mask: net.CIDRMask(16, 32)}
	// serviceAddress is that of the Service `kubernetes`, the first one of the range.
	serviceAddress = net.IPNet{IP: net.IPv4(10, 0, 0, 1), Mask: net.CIDRMask(32, 32)}
	// sysctls are what a kubelet sets for the whole machine. It is shown files of its own, with the values it wants.
	sysctls = map[string]string{
		"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
		"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
	}
)

func init() {
	commands["enter"] = enter
	commands["entered"] = entered
	// The main goroutine keeps the main thread: a child is killed when the thread that started it ends, and only some
	// namespaces are those of the whole process.
	runtime.LockOSThread()
}

// enter runs a command in namespaces and cgroups of its own, as the only thing there: nothing of it, and of what it
// starts, reaches the machine or outlives this process. Its exit status is this program's.
func enter(arguments []string) {
	if len(arguments) == 0 {
		fail("`enter` wants a command to run")
	}
	group, err := newGroup()
	must("make cgroups", err)
	goOn, ready, err := os.Pipe()
	must("make a pipe", err)
	command := exec.Command("/proc/self/exe", append([]string{"entered"}, arguments...)...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.ExtraFiles = []*os.File{goOn}
	command.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC |
			syscall.CLONE_NEWUTS,
	}
	if err := command.Start(); err != nil {
		group.remove()
		fail("cannot enter namespaces of its own: %v", err)
	}
	// Whoever asks the whole process group to end asks that child as well.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	err = group.add(command.Process.Pid)
	if err == nil {
		_, err = ready.Write([]byte{1})
	}
	if err != nil {
		_ = command.Process.Kill()
	}
	waited := command.Wait()
	group.remove()
	must("put it into its cgroups", err)
	os.Exit(status(waited))
}

func status(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if exit.Exited() {
			return exit.ExitCode()
		}
		return 128 + int(exit.Sys().(syscall.WaitStatus).Signal())
	}
	must("wait for it", err)
	return 0
}

// entered is the first process of the namespaces. All others end with it.
func entered(arguments []string) {
	goOn := os.NewFile(3, "go on")
	if read, _ := goOn.Read(make([]byte, 1)); read == 0 {
		os.Exit(1)
	}
	must("close a pipe", goOn.Close())
	must("enter a cgroup namespace", unix.Unshare(unix.CLONE_NEWCGROUP))
	must("arrange the file system", arrangeFiles())
	must("arrange the network", arrangeNetwork())
	must("be called node", unix.Sethostname([]byte("node")))
	os.Exit(run(arguments))
}

func arrangeFiles() error {
	// Nothing that is mounted from here on is seen outside.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := arrangeGroups(); err != nil {
		return err
	}
	for _, place := range []string{"/run", "/var/log"} {
		if err := unix.Mount("tmpfs", place, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("mount %s: %w", place, err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	values := filepath.Join(own, "sysctls")
	for _, folder := range []string{values, filepath.Join(own, "tmp")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	if err := os.Symlink(filepath.Dir(self), filepath.Join(own, "bin")); err != nil {
		return err
	}
	for name, value := range sysctls {
		if err := show(filepath.Join(values, filepath.Base(name)), value+"\n", filepath.Join("/proc/sys", name)); err != nil {
			return err
		}
	}
	// Names are known to nobody here, which is to be found out at once.
	if err := show(filepath.Join(own, "resolv.conf"), "nameserver 127.0.0.1\n", "/etc/resolv.conf"); err != nil {
		return err
	}
	// A kubelet mounts volumes that its containers are to see.
	return unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "")
}

// show has everybody who opens a file find a content in another file instead.
func show(file, content, place string) error {
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		return err
	}
	if err := unix.Mount(file, place, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("show another %s: %w", place, err)
	}
	return nil
}

func arrangeNetwork() error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	// With an address of its own: otherwise it takes that of one of its ports, another one whenever a Pod comes or goes,
	// and who knows the old one sends into the void.
	attributes := netlink.LinkAttrs{Name: bridge, HardwareAddr: net.HardwareAddr{0x02, 0, 10, 88, 0, 1}}
	link := &netlink.Bridge{LinkAttrs: attributes}
	return errors.Join(
		netlink.AddrAdd(loopback, &netlink.Addr{IPNet: &serviceAddress}),
		netlink.LinkSetUp(loopback),
		netlink.LinkAdd(link),
		netlink.AddrAdd(link, &netlink.Addr{IPNet: &nodeAddress}),
		netlink.LinkSetUp(link),
		// A default route, which leads nowhere: some ask for one to learn their own address.
		netlink.RouteAdd(&netlink.Route{LinkIndex: link.Index, Gw: nodeAddress.IP}),
	)
}

// run runs a command, and looks after the orphans of all processes meanwhile.
func run(arguments []string) int {
	path, err := exec.LookPath(arguments[0])
	must("find "+arguments[0], err)
	environment := append(os.Environ(), "TMPDIR="+filepath.Join(own, "tmp"))
	child, err := syscall.ForkExec(path, arguments, &syscall.ProcAttr{Env: environment, Files: []uintptr{0, 1, 2}})
	must("run "+path, err)
	for {
		var ended syscall.WaitStatus
		process, err := syscall.Wait4(-1, &ended, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			fail("cannot wait for %s: %v", path, err)
		case process == child && ended.Signaled():
			return 128 + int(ended.Signal())
		case process == child:
			return ended.ExitStatus()
		}
	}
}
