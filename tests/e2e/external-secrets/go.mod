// The custom resources that External Secrets installs, which the tests read from its sources.
module pullkey.dev/tests/external-secrets

go 1.26.0

require github.com/external-secrets/external-secrets v1.3.2
