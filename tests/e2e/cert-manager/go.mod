// The custom resources that cert-manager installs, which the tests read from its sources.
module pullkey.dev/tests/cert-manager

go 1.26.0

require github.com/cert-manager/cert-manager v1.21.2
