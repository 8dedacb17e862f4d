//go:build !without_servers

package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func init() {
	commands["etcd"] = func([]string) { etcdmain.Main(os.Args) }
	commands["kube-apiserver"] = func([]string) { os.Exit(cli.Run(apiserver.NewAPIServerCommand())) }
	commands["kube-controller-manager"] = func([]string) { os.Exit(cli.Run(controllers.NewControllerManagerCommand())) }
	commands["kubectl"] = func([]string) { os.Exit(cli.Run(kubectl.NewDefaultKubectlCommand())) }
}
