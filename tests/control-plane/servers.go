//go:build !without_servers

package main

import (
	"context"
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func init() {
	commands["etcd"] = func([]string) { etcdmain.Main(os.Args) }
	commands["kube-apiserver"] = func([]string) { os.Exit(cli.Run(apiserver.NewAPIServerCommand())) }
	commands["kube-controller-manager"] = func([]string) { os.Exit(cli.Run(controllers.NewControllerManagerCommand())) }
	commands["kube-scheduler"] = func([]string) { os.Exit(cli.Run(scheduler.NewSchedulerCommand())) }
	commands["kubelet"] = func([]string) { os.Exit(cli.Run(kubelet.NewKubeletCommand(context.Background()))) }
	commands["kubectl"] = func([]string) { os.Exit(cli.Run(kubectl.NewDefaultKubectlCommand())) }
}
