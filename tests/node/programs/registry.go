package main

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry"
	"github.com/distribution/distribution/v3/registry/auth"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
)

// public is the prefix of repositories that anybody may pull from.
const public = "public/"

func init() { commands["serve-registry"] = serveRegistry }

// user is one who may use the registry.
type user struct {
	Name string `json:"name"`
	// Passwords are those that are good at the moment: there are two while one takes the place of the other.
	Passwords []string `json:"passwords"`
	// Prefix is what the names of the user's repositories begin with.
	Prefix string `json:"prefix"`
}

// users lets those in whom a file names. It is read for every request, so that passwords can change.
type users struct{ file string }

// serveRegistry serves a registry that keeps everything in memory. Its arguments are the address to listen on, and a
// file with a list of users as JSON.
func serveRegistry(arguments []string) {
	if len(arguments) != 2 {
		fail("`serve-registry` wants an address and a file of users")
	}
	const name = "users"
	must("have users", auth.Register(name, func(options map[string]any) (auth.AccessController, error) {
		return users{file: arguments[1]}, nil
	}))
	config := &configuration.Configuration{
		Version: "0.1",
		Storage: configuration.Storage{"inmemory": nil},
		Auth:    configuration.Auth{name: nil},
	}
	config.Log.Level = "warn"
	config.Log.AccessLog.Disabled = false
	config.HTTP.Addr = arguments[0]
	// It is asked for by whoever signs upload URLs; there is one registry behind each address.
	config.HTTP.Secret = "one process"
	served, err := registry.NewRegistry(context.Background(), config)
	must("make a registry", err)
	must("serve a registry", served.ListenAndServe())
}

// Authorized tells who asks, and refuses what that user may not have. Whoever says no name, or a wrong password, is asked
// for another one.
func (known users) Authorized(request *http.Request, wanted ...auth.Access) (*auth.Grant, error) {
	name, password, named := request.BasicAuth()
	if !named {
		return known.anonymous(wanted)
	}
	content, err := os.ReadFile(known.file)
	if err != nil {
		return nil, err
	}
	var all []user
	if err := json.Unmarshal(content, &all); err != nil {
		return nil, err
	}
	for _, one := range all {
		if one.Name == name && one.accepts(password) {
			return one.grant(wanted)
		}
	}
	return nil, challenge{auth.ErrAuthenticationFailure}
}

func (known users) anonymous(wanted []auth.Access) (*auth.Grant, error) {
	for _, access := range wanted {
		if access.Action != "pull" || !strings.HasPrefix(access.Name, public) {
			return nil, challenge{auth.ErrInvalidCredential}
		}
	}
	if len(wanted) == 0 {
		// The question whether this is a registry: those who have credentials wait to be asked for them.
		return nil, challenge{auth.ErrInvalidCredential}
	}
	return &auth.Grant{}, nil
}

func (one user) accepts(password string) bool {
	for _, good := range one.Passwords {
		if subtle.ConstantTimeCompare([]byte(good), []byte(password)) == 1 {
			return true
		}
	}
	return false
}

func (one user) grant(wanted []auth.Access) (*auth.Grant, error) {
	for _, access := range wanted {
		if !strings.HasPrefix(access.Name, one.Prefix) {
			return nil, challenge{fmt.Errorf("%w: %s is not for %s", errForbidden, access.Name, one.Name)}
		}
	}
	return &auth.Grant{User: auth.UserInfo{Name: one.Name}}, nil
}

var errForbidden = errors.New("another user's repository")

// challenge asks for other credentials.
type challenge struct{ error }

func (challenge) SetHeaders(_ *http.Request, writer http.ResponseWriter) {
	writer.Header().Set("WWW-Authenticate", `Basic realm="tests"`)
}
