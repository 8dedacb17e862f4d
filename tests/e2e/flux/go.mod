// The custom resource of Flux that README.md shows, which the tests read from its sources.
module pullkey.dev/tests/flux

go 1.26.0

require github.com/fluxcd/kustomize-controller v1.9.1
