package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// credentials are the files that the servers are started with, or can be, made anew for each run.
type credentials struct {
	serviceAccountKey, serviceAccountPublic string
	adminToken, controllersToken            string
	schedulerToken, kubeletToken, tokens    string
	webhookClientAuthority                  string
	auditPolicy, admission                  string
}

// auditPolicy has the patches of Pods written down, which is what `Request` adds to the annotations.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Request
    verbs: [create]
    resources: [{group: "", resources: [pods]}]
  - level: None
`

// admission has the API server show one client certificate to every webhook that asks for one.
const admission = `apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
  - name: MutatingAdmissionWebhook
    configuration:
      apiVersion: apiserver.config.k8s.io/v1
      kind: WebhookAdmissionConfiguration
      kubeConfigFile: %s
`

const webhookUsers = `apiVersion: v1
kind: Config
users:
  - name: "*"
    user: {client-certificate: %s, client-key: %s}
`

// egress has an API server reach the cluster through a proxy.
const egress = `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
  - name: cluster
    connection: {proxyProtocol: HTTPConnect, transport: {uds: {udsName: %q}}}
`

func writeCredentials(folder string) (made credentials, err error) {
	file := func(name, content string) string {
		path := filepath.Join(folder, name)
		err = errors.Join(err, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	_, public, private, keyErr := newKey()
	if keyErr != nil {
		return made, keyErr
	}
	made.serviceAccountKey = file("service-accounts.key", private)
	made.serviceAccountPublic = file("service-accounts.pub", public)

	made.adminToken, made.controllersToken = rand.Text(), rand.Text()
	made.schedulerToken, made.kubeletToken = rand.Text(), rand.Text()
	made.tokens = file("tokens.csv", fmt.Sprintf(
		"%s,admin,admin,\"system:masters\"\n%s,system:kube-controller-manager,controllers\n"+
			"%s,system:kube-scheduler,scheduler\n%s,system:node:node,node,\"system:nodes\"\n",
		made.adminToken, made.controllersToken, made.schedulerToken, made.kubeletToken))

	authority, certificate, key, certificateErr := newClientCertificate()
	if certificateErr != nil {
		return made, certificateErr
	}
	made.webhookClientAuthority = file("webhook-client-ca.crt", authority)
	users := file("webhook-users.yaml", fmt.Sprintf(webhookUsers,
		file("webhook-client.crt", certificate), file("webhook-client.key", key)))
	made.admission = file("admission.yaml", fmt.Sprintf(admission, users))
	made.auditPolicy = file("audit-policy.yaml", auditPolicy)
	file("egress.yaml", fmt.Sprintf(egress, filepath.Join(folder, "egress")))
	return made, err
}

// newKey makes a P-256 key, and gives both halves as PEM, too.
func newKey() (key crypto.Signer, public, private string, err error) {
	made, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", "", err
	}
	privateBytes, err := x509.MarshalPKCS8PrivateKey(made)
	if err != nil {
		return nil, "", "", err
	}
	publicBytes, err := x509.MarshalPKIXPublicKey(made.Public())
	if err != nil {
		return nil, "", "", err
	}
	return made, encode("PUBLIC KEY", publicBytes), encode("PRIVATE KEY", privateBytes), nil
}

// newClientCertificate makes a CA and a certificate of it for clients, as PEM.
func newClientCertificate() (authority, certificate, key string, err error) {
	authorityKey, _, _, err := newKey()
	if err != nil {
		return "", "", "", err
	}
	now := time.Now()
	signer := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "webhook clients"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	authorityBytes, err := x509.CreateCertificate(rand.Reader, signer, signer, authorityKey.Public(), authorityKey)
	if err != nil {
		return "", "", "", err
	}
	clientKey, _, private, err := newKey()
	if err != nil {
		return "", "", "", err
	}
	client := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "kube-apiserver"},
		NotBefore: signer.NotBefore, NotAfter: signer.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	clientBytes, err := x509.CreateCertificate(rand.Reader, client, signer, clientKey.Public(), authorityKey)
	if err != nil {
		return "", "", "", err
	}
	return encode("CERTIFICATE", authorityBytes), encode("CERTIFICATE", clientBytes), private, nil
}

func encode(kind string, content []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
}

// trusting talks to servers whose certificate is in the file.
func trusting(file string) (*http.Transport, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("no certificate in `%s`", file)
	}
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}, nil
}

const kubeconfig = `apiVersion: v1
kind: Config
current-context: tests
contexts: [{name: tests, context: {cluster: tests, user: %[1]s}}]
clusters: [{name: tests, cluster: {server: %[2]q, certificate-authority: %[3]q}}]
users: [{name: %[1]s, user: {token: %[4]s}}]
`

func writeKubeconfig(folder, user string, running Running, token string) (string, error) {
	path := filepath.Join(folder, user+".kubeconfig")
	content := fmt.Sprintf(kubeconfig, user, running.Server, running.CertificateAuthority, token)
	return path, os.WriteFile(path, []byte(content), 0o600)
}
