package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// groups is what the names of our cgroups begin with.
	groups = "pullkey-node-"
	// endTimeout is generous: a process that was killed still has to give its memory back.
	endTimeout = 10 * time.Second
	leaf       = "processes"
)

// hierarchy is a mounted tree of cgroups.
type hierarchy struct {
	place, kind, options string
}

func (mounted hierarchy) isUnified() bool { return mounted.kind == "cgroup2" }

// hierarchies are those that this process sees: one with cgroup v2, one a controller with v1, or both.
func hierarchies() ([]hierarchy, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	var found []hierarchy
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		// Optional fields stand before ` - `: proc_pid_mountinfo(5).
		mount, system, _ := strings.Cut(lines.Text(), " - ")
		fields, more := strings.Fields(mount), strings.Fields(system)
		if len(fields) < 5 || len(more) < 3 || more[0] != "cgroup" && more[0] != "cgroup2" {
			continue
		}
		options := strings.TrimPrefix(strings.TrimPrefix(more[2], "rw"), ",")
		found = append(found, hierarchy{place: fields[4], kind: more[0], options: options})
	}
	if len(found) == 0 && lines.Err() == nil {
		return nil, errors.New("no cgroups are mounted")
	}
	return found, lines.Err()
}

// group is one cgroup in each hierarchy.
type group struct {
	folders []string
	// locks tell others that this one is in use, however this process ends.
	locks []*os.File
}

// newGroup makes one, and removes those that killed processes left.
func newGroup() (*group, error) {
	all, err := hierarchies()
	if err != nil {
		return nil, err
	}
	made := &group{}
	for _, mounted := range all {
		if err := made.make(mounted); err != nil {
			made.remove()
			return nil, err
		}
	}
	return made, nil
}

func (made *group) make(mounted hierarchy) error {
	// One at a time: a group that was just made and is not locked yet looks like one that was left.
	turn, err := lock(mounted.place, syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer func() { _ = turn.Close() }()
	left, err := filepath.Glob(filepath.Join(mounted.place, groups+"*"))
	if err != nil {
		return err
	}
	for _, folder := range left {
		if unused, err := lock(folder, syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			_ = unused.Close()
			removeGroups(folder)
		}
	}
	folder := filepath.Join(mounted.place, fmt.Sprintf("%s%d", groups, os.Getpid()))
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	made.folders = append(made.folders, folder)
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		// With v1 it has none, and takes no process, until it is told.
		value, err := os.ReadFile(filepath.Join(mounted.place, name))
		if err != nil || mounted.isUnified() {
			continue
		}
		if err := os.WriteFile(filepath.Join(folder, name), value, 0o644); err != nil {
			return err
		}
	}
	inUse, err := lock(folder, syscall.LOCK_EX)
	made.locks = append(made.locks, inUse)
	return err
}

func lock(folder string, how int) (*os.File, error) {
	file, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), how); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// add puts a process into the group.
func (made *group) add(process int) error {
	for _, folder := range made.folders {
		if err := put(process, folder); err != nil {
			return err
		}
	}
	return nil
}

func put(process int, folder string) error {
	return os.WriteFile(filepath.Join(folder, "cgroup.procs"), []byte(fmt.Sprint(process)), 0o644)
}

func (made *group) remove() {
	for _, folder := range made.folders {
		removeGroups(folder)
	}
	for _, file := range made.locks {
		_ = file.Close()
	}
}

// removeGroups removes a cgroup and all below it. What cannot be removed is left to the next one.
func removeGroups(folder string) {
	for deadline := time.Now().Add(endTimeout); ; time.Sleep(20 * time.Millisecond) {
		err := removeTree(folder)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return
		}
		if time.Now().After(deadline) {
			fmt.Fprintf(os.Stderr, "warning: a cgroup is left: %v\n", err)
			return
		}
	}
}

func removeTree(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(folder, entry.Name())); err != nil {
				return err
			}
		}
	}
	return os.Remove(folder)
}

// arrangeGroups shows this process, whose cgroup namespace is new, its own cgroups as if they were all.
func arrangeGroups() error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, mounted := range all {
		if err := unix.Unmount(mounted.place, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", mounted.place, err)
		}
		options := mounted.options
		if mounted.isUnified() {
			options = ""
		}
		if err := unix.Mount("cgroup", mounted.place, mounted.kind, 0, options); err != nil {
			return fmt.Errorf("mount %s: %w", mounted.place, err)
		}
		if mounted.isUnified() {
			if err := delegate(mounted.place); err != nil {
				return err
			}
		}
	}
	return nil
}

// delegate has the groups below the root of a unified hierarchy have every controller that the root has: then no process
// may be in the root itself.
func delegate(root string) error {
	controllers, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err != nil || len(strings.Fields(string(controllers))) == 0 {
		return err
	}
	processes := filepath.Join(root, leaf)
	if err := errors.Join(os.Mkdir(processes, 0o755), put(os.Getpid(), processes)); err != nil {
		return err
	}
	enable := "+" + strings.Join(strings.Fields(string(controllers)), " +")
	return os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte(enable), 0o644)
}
