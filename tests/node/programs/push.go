package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

func init() { commands["push"] = push }

const (
	indexless = "application/vnd.oci.image.manifest.v1+json"
	ofConfig  = "application/vnd.oci.image.config.v1+json"
	ofLayer   = "application/vnd.oci.image.layer.v1.tar"
)

// repository is where an image is pushed to.
type repository struct{ registry, user, password, name string }

// push makes an image of one program and of the shared libraries that it wants, and pushes it under several names. Its
// arguments are the registry's address, `USER:PASSWORD`, the program, and names as `REPOSITORY:TAG`. No two names have
// the same image: each image says in a label what it was pushed as.
func push(arguments []string) {
	if len(arguments) < 4 {
		fail("`push` wants the address of a registry, a user, a program and names")
	}
	user, password, _ := strings.Cut(arguments[1], ":")
	program := arguments[2]
	layer, err := pack(program)
	must("pack "+program, err)
	for _, name := range arguments[3:] {
		name, tag, _ := strings.Cut(name, ":")
		target := repository{registry: arguments[0], user: user, password: password, name: name}
		must("push "+name, target.push(tag, filepath.Base(program), layer))
	}
}

// pack makes a layer with a program in its root, and its libraries where it looks for them.
func pack(program string) ([]byte, error) {
	var layer bytes.Buffer
	writer := tar.NewWriter(&layer)
	files := map[string]string{"/" + filepath.Base(program): program}
	libraries, err := librariesOf(program)
	if err != nil {
		return nil, err
	}
	for _, library := range libraries {
		files[library] = library
	}
	for place, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		header := tar.Header{Name: strings.TrimPrefix(place, "/"), Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}
		if err := writer.WriteHeader(&header); err != nil {
			return nil, err
		}
		if _, err := writer.Write(content); err != nil {
			return nil, err
		}
	}
	return layer.Bytes(), writer.Close()
}

// librariesOf are the shared libraries that a program wants, and what loads them; none of a static one.
func librariesOf(program string) ([]string, error) {
	binary, err := elf.Open(program)
	if err != nil {
		return nil, err
	}
	defer func() { _ = binary.Close() }()
	section := binary.Section(".interp")
	if section == nil {
		return nil, nil
	}
	content, err := section.Data()
	if err != nil {
		return nil, err
	}
	loader := strings.TrimRight(string(content), "\x00")
	listed, err := exec.Command(loader, "--list", program).Output()
	if err != nil {
		return nil, fmt.Errorf("%s --list: %w", loader, err)
	}
	libraries := []string{loader}
	for line := range strings.Lines(string(listed)) {
		// `libc.so.6 => /lib/libc.so.6 (0x…)`
		if _, rest, ok := strings.Cut(line, " => "); ok {
			library, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
			libraries = append(libraries, library)
		}
	}
	return libraries, nil
}

func (to repository) push(tag, program string, layer []byte) error {
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": runtime.GOOS,
		"config": map[string]any{
			// A number, so that Kubernetes can see that it is not root.
			"User": "65532:65532", "Entrypoint": []string{"/" + program},
			"Labels": map[string]string{"pushed-as": to.name + ":" + tag},
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": indexless,
		"config": descriptor(ofConfig, config), "layers": []any{descriptor(ofLayer, layer)},
	})
	if err != nil {
		return err
	}
	for _, blob := range [][]byte{layer, config} {
		if err := to.upload(blob); err != nil {
			return err
		}
	}
	_, err = to.call(http.MethodPut, "/v2/"+to.name+"/manifests/"+tag, indexless, manifest)
	return err
}

func descriptor(mediaType string, content []byte) map[string]any {
	return map[string]any{"mediaType": mediaType, "digest": digest(content), "size": len(content)}
}

func digest(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }

func (to repository) upload(blob []byte) error {
	place, err := to.call(http.MethodPost, "/v2/"+to.name+"/blobs/uploads/", "", nil)
	if err != nil {
		return err
	}
	place.RawQuery += "&digest=" + url.QueryEscape(digest(blob))
	_, err = to.call(http.MethodPut, place.RequestURI(), "application/octet-stream", blob)
	return err
}

// call gives the place that the registry answers with.
func (to repository) call(method, path, contentType string, body []byte) (*url.URL, error) {
	request, err := http.NewRequest(method, "http://"+to.registry+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth(to.user, to.password)
	request.Header.Set("Content-Type", contentType)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, _ := io.ReadAll(response.Body)
	if response.StatusCode >= 300 {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, answer)
	}
	return url.Parse(response.Header.Get("Location"))
}
