package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// attempts are made to start: between the choice of a free port and its use somebody else can take it.
	attempts = 5
	// startTimeout is generous: a compiler may be busy on the same cores.
	startTimeout = 2 * time.Minute
	pollInterval = 50 * time.Millisecond
)

func init() { commands["serve"] = serve }

// Running is what is told, as one line of JSON, once the servers answer.
type Running struct {
	// Server is the API server's URL.
	Server string `json:"server"`
	// CertificateAuthority is the file with the certificate that the API server's own can be checked by.
	CertificateAuthority string `json:"certificateAuthority"`
	// Token is one of a member of system:masters.
	Token string `json:"token"`
	// Kubeconfig is a file that says the same to kubectl.
	Kubeconfig string `json:"kubeconfig"`
	// AuditLog is the API server's file of audit events.
	AuditLog string `json:"auditLog"`
	// WebhookClientAuthority is the file with the CA of the certificate that the API server shows to webhooks.
	WebhookClientAuthority string `json:"webhookClientAuthority"`
	// Folder holds all of it, and the logs; also `scheduler.kubeconfig` and `kubelet.kubeconfig`, for those that make a
	// node of this machine. The node's name is `node`. With `egress.yaml` an API server reaches the cluster through the
	// proxy at the socket `egress`.
	Folder string `json:"folder"`
}

// serve runs etcd, the API server and the controllers on loopback until standard input closes or a signal comes. They
// and their folder are gone when it ends. Its arguments are more arguments of the API server, in which `{folder}` stands
// for that folder. Meanwhile each line of standard input is an order, see obey, and answered by a line once it is done.
func serve(arguments []string) {
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	closed := make(chan struct{})
	orders := make(chan string)
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			orders <- lines.Text()
		}
		close(closed)
	}()
	context, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-ending:
		case <-closed:
		}
		cancel()
	}()
	var plane *controlPlane
	var err error
	for range attempts {
		// In this goroutine, which has the main thread: see leash.
		if plane, err = start(context, arguments); err == nil || context.Err() != nil || !errors.Is(err, errPortTaken) {
			break
		}
	}
	if err != nil {
		if context.Err() != nil {
			return
		}
		fail("the control plane does not start: %v", err)
	}
	defer plane.stop()
	if err := json.NewEncoder(os.Stdout).Encode(plane.running); err != nil {
		plane.stop()
		fail("nobody reads where the control plane is: %v", err)
	}
	for {
		select {
		case <-context.Done():
			return
		case dead := <-plane.ended:
			tail := plane.tail(dead)
			plane.stop()
			fail("%s has ended by itself\n%s", dead, tail)
		case order := <-orders:
			if err := plane.obey(context, order); err != nil {
				plane.stop()
				fail("cannot `%s`: %v", order, err)
			}
			fmt.Println(order)
		}
	}
}

// obey does what is to go wrong with the control plane while others use it, and puts it right again.
func (plane *controlPlane) obey(context context.Context, order string) error {
	switch order {
	case "kill the API server":
		return plane.kill(apiServer)
	case "start the API server":
		within, cancel := contextWithTimeout(context)
		defer cancel()
		err := errPortTaken
		for range attempts {
			// Its clients call all the time, and one of them may do so from that very port.
			if errors.Is(err, errPortTaken) {
				err = plane.startAPIServer(within)
			}
		}
		return err
	case "start another API server":
		within, cancel := contextWithTimeout(context)
		defer cancel()
		return plane.startAnotherAPIServer(within)
	case "forget what was":
		return plane.compact()
	default:
		return errors.New("there is no such order")
	}
}

// kill ends a server as a lack of memory would.
func (plane *controlPlane) kill(name string) error {
	plane.servers = slices.DeleteFunc(plane.servers, func(server server) bool {
		isMeant := server.name == name
		if isMeant {
			_ = server.command.Process.Kill()
		}
		return isMeant
	})
	if dead := <-plane.ended; dead != name {
		return fmt.Errorf("%s has ended instead\n%s", dead, plane.tail(dead))
	}
	return nil
}

// compact has etcd forget every version but the latest of each object.
func (plane *controlPlane) compact() error {
	post := func(path, body string) (answer struct{ Header struct{ Revision string } }, err error) {
		response, err := http.Post(plane.etcdURL+path, "application/json", strings.NewReader(body))
		if err != nil {
			return answer, err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return answer, fmt.Errorf("etcd answers %s to %s", response.Status, path)
		}
		return answer, json.NewDecoder(response.Body).Decode(&answer)
	}
	// Any key will do: the answer says the revision.
	current, err := post("/v3/kv/range", `{"key":"AA=="}`)
	if err != nil {
		return err
	}
	_, err = post("/v3/kv/compaction", fmt.Sprintf(`{"revision":%q,"physical":true}`, current.Header.Revision))
	return err
}

// apiServer is its name among the servers.
const apiServer = "kube-apiserver"

var errPortTaken = errors.New("a port was taken by somebody else")

// server is one that runs.
type server struct {
	name    string
	command *exec.Cmd
}

// controlPlane is what has been started.
type controlPlane struct {
	running Running
	servers []server
	etcdURL string
	// apiServerArguments are those that it starts with, each time.
	apiServerArguments []string
	// ended gets the name of each server that ends.
	ended  chan string
	client *http.Client
}

func start(context context.Context, arguments []string) (plane *controlPlane, err error) {
	folder, err := os.MkdirTemp("", "pullkey-control-plane-")
	if err != nil {
		return nil, err
	}
	plane = &controlPlane{ended: make(chan string, 16), client: newClient()}
	defer func() {
		if err != nil {
			plane.stop()
		}
	}()
	plane.running.Folder = folder
	arguments = slices.Clone(arguments)
	for index := range arguments {
		arguments[index] = strings.ReplaceAll(arguments[index], "{folder}", folder)
	}
	within, cancel := contextWithTimeout(context)
	defer cancel()

	credentials, err := writeCredentials(folder)
	if err != nil {
		return plane, err
	}
	etcd, err := freePort()
	if err != nil {
		return plane, err
	}
	plane.etcdURL = fmt.Sprintf("http://127.0.0.1:%d", etcd)
	if err := plane.run("etcd",
		"--data-dir="+filepath.Join(folder, "etcd"), "--name=etcd",
		"--listen-client-urls="+plane.etcdURL, "--advertise-client-urls="+plane.etcdURL,
		"--listen-peer-urls=http://127.0.0.1:0", "--initial-advertise-peer-urls=http://127.0.0.1:0",
		"--initial-cluster=etcd=http://127.0.0.1:0", "--unsafe-no-fsync", "--log-level=warn",
	); err != nil {
		return plane, err
	}
	port, err := portOf(arguments)
	if err != nil {
		return plane, err
	}
	running := &plane.running
	running.Server = fmt.Sprintf("https://127.0.0.1:%d", port)
	running.CertificateAuthority = filepath.Join(folder, "apiserver.crt")
	running.Token = credentials.adminToken
	running.AuditLog = filepath.Join(folder, "audit.log")
	running.WebhookClientAuthority = credentials.webhookClientAuthority
	plane.apiServerArguments = append([]string{
		"--etcd-servers=" + plane.etcdURL,
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port), "--cert-dir=" + folder,
		// No route out of the machine is needed, nor looked for.
		"--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24",
		"--authorization-mode=Node,RBAC", "--allow-privileged=true", "--token-auth-file=" + credentials.tokens,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + credentials.serviceAccountPublic,
		"--service-account-signing-key-file=" + credentials.serviceAccountKey,
		"--audit-policy-file=" + credentials.auditPolicy, "--audit-log-path=" + running.AuditLog,
		"--admission-control-config-file=" + credentials.admission,
	}, arguments...)
	if err := plane.startAPIServer(within); err != nil {
		return plane, err
	}
	if running.Kubeconfig, err = writeKubeconfig(folder, "admin", *running, running.Token); err != nil {
		return plane, err
	}
	controllers, err := writeKubeconfig(folder, "controllers", *running, credentials.controllersToken)
	if err != nil {
		return plane, err
	}
	for user, token := range map[string]string{
		"scheduler": credentials.schedulerToken, "kubelet": credentials.kubeletToken,
	} {
		if _, err := writeKubeconfig(folder, user, *running, token); err != nil {
			return plane, err
		}
	}
	if err := plane.run("kube-controller-manager",
		"--kubeconfig="+controllers, "--service-account-private-key-file="+credentials.serviceAccountKey,
		"--leader-elect=false", "--secure-port=0",
		// What Pods are to trust.
		"--root-ca-file="+running.CertificateAuthority,
		// The rights are bound to one account a controller.
		"--use-service-account-credentials=true",
		"--controllers="+strings.Join([]string{
			"namespace-controller", "serviceaccount-controller", "root-ca-certificate-publisher-controller",
			"deployment-controller", "replicaset-controller", "statefulset-controller", "daemonset-controller",
			"job-controller", "cronjob-controller", "garbage-collector-controller", "resourcequota-controller",
			"clusterrole-aggregation-controller", "disruption-controller", "endpointslice-controller",
			"node-lifecycle-controller",
		}, ","),
	); err != nil {
		return plane, err
	}
	// Pods are refused before it.
	return plane, plane.until(within, "the service account `default` is there", func() bool {
		return running.answers("/api/v1/namespaces/default/serviceaccounts/default", plane.client) == http.StatusOK
	})
}

func (plane *controlPlane) startAPIServer(within context.Context) error {
	if err := plane.run(apiServer, plane.apiServerArguments...); err != nil {
		return err
	}
	return plane.until(within, "the API server is ready", func() bool {
		return plane.running.answers("/readyz", plane.client) == http.StatusOK
	})
}

// startAnotherAPIServer starts one more on the same etcd, which `another.kubeconfig` in the folder leads to.
func (plane *controlPlane) startAnotherAPIServer(within context.Context) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	folder := filepath.Join(plane.running.Folder, "another")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	another := plane.running
	another.Server = fmt.Sprintf("https://127.0.0.1:%d", port)
	another.CertificateAuthority = filepath.Join(folder, "apiserver.crt")
	// The last one of each counts.
	arguments := append(slices.Clone(plane.apiServerArguments),
		fmt.Sprintf("--secure-port=%d", port), "--cert-dir="+folder, "--audit-log-path="+filepath.Join(folder, "audit.log"))
	if err := plane.runAs("another-"+apiServer, apiServer, arguments...); err != nil {
		return err
	}
	client := newClient()
	err = plane.until(within, "the other API server is ready", func() bool {
		return another.answers("/readyz", client) == http.StatusOK
	})
	if err != nil {
		return err
	}
	_, err = writeKubeconfig(plane.running.Folder, "another", another, another.Token)
	return err
}

func contextWithTimeout(parent context.Context) (context.Context, context.CancelFunc) {
	timeout := startTimeout
	if text := os.Getenv("KUBEBUILDER_CONTROLPLANE_START_TIMEOUT"); text != "" {
		given, err := time.ParseDuration(text)
		if err != nil {
			fail("KUBEBUILDER_CONTROLPLANE_START_TIMEOUT is `%s`\naccepted: a duration such as `20s`", text)
		}
		timeout = given
	}
	return context.WithTimeout(parent, timeout)
}

// run starts a server with its output in the folder, and on standard error as well where that is asked for.
func (plane *controlPlane) run(name string, arguments ...string) error {
	return plane.runAs(name, name, arguments...)
}

// runAs does so with a server that is to be known by another name than its program's.
func (plane *controlPlane) runAs(name, program string, arguments ...string) error {
	path, err := asset(program)
	if err != nil {
		return err
	}
	// A server that is started once more goes on with its log.
	log, err := os.OpenFile(filepath.Join(plane.running.Folder, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	command := exec.Command(path, arguments...)
	command.Args[0] = program
	command.Stdout, command.Stderr = log, log
	if os.Getenv("KUBEBUILDER_ATTACH_CONTROL_PLANE_OUTPUT") == "true" {
		command.Stderr = io.MultiWriter(log, os.Stderr)
	}
	command.SysProcAttr = leash()
	if err := command.Start(); err != nil {
		return fmt.Errorf("cannot run `%s` for %s: %w", path, name, err)
	}
	plane.servers = append(plane.servers, server{name, command})
	go func() {
		_ = command.Wait()
		_ = log.Close()
		plane.ended <- name
	}()
	return nil
}

// until waits for a condition for as long as every server lives.
func (plane *controlPlane) until(context context.Context, what string, holds func() bool) error {
	for ticker := time.NewTicker(pollInterval); !holds(); {
		select {
		case <-context.Done():
			return fmt.Errorf("waited until %s: %w", what, context.Err())
		case dead := <-plane.ended:
			tail := plane.tail(dead)
			if strings.Contains(tail, "address already in use") {
				return fmt.Errorf("%w: %s\n%s", errPortTaken, dead, tail)
			}
			return fmt.Errorf("waited until %s, and %s has ended\n%s", what, dead, tail)
		case <-ticker.C:
		}
	}
	return nil
}

// newClient is one for a single API server.
func newClient() *http.Client { return &http.Client{Timeout: 5 * time.Second} }

// answers gives the API server's status for a path, or 0 without an answer.
func (running *Running) answers(path string, client *http.Client) int {
	if client.Transport == nil {
		transport, err := trusting(running.CertificateAuthority)
		if err != nil {
			// The API server has not written its certificate yet.
			return 0
		}
		client.Transport = transport
	}
	request, err := http.NewRequest(http.MethodGet, running.Server+path, nil)
	if err != nil {
		return 0
	}
	request.Header.Set("Authorization", "Bearer "+running.Token)
	response, err := client.Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// tail is the end of a server's log.
func (plane *controlPlane) tail(name string) string {
	log, err := os.ReadFile(filepath.Join(plane.running.Folder, name+".log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// stop kills the servers and removes their folder: what they hold is of no use to anybody.
func (plane *controlPlane) stop() {
	for _, server := range plane.servers {
		_ = server.command.Process.Kill()
	}
	for range plane.servers {
		select {
		case <-plane.ended:
		case <-time.After(10 * time.Second):
		}
	}
	_ = os.RemoveAll(plane.running.Folder)
}

// portOf is the one that the API server's arguments name, or a free one.
func portOf(arguments []string) (int, error) {
	for _, argument := range arguments {
		if text, ok := strings.CutPrefix(argument, "--secure-port="); ok {
			return strconv.Atoi(text)
		}
	}
	return freePort()
}

// freePort is one that nobody listens on just now.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
