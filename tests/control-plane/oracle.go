package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/distribution/reference"
	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/credentialprovider/secrets"
	"k8s.io/kubernetes/pkg/util/parsers"
)

func init() { commands["oracle"] = oracle }

// A question is one line of JSON. Images are strings, since a Pod's are; what a Secret holds may be any bytes, and is
// base64 as in every Secret.
type question struct {
	// With Secrets: which of their credentials the kubelet uses for each of the images, if a Pod names the Secrets in
	// this order. Without: what the images are in normal form.
	Secrets *[]v1.Secret `json:"secrets"`
	Images  []string     `json:"images"`
}

// An answer is one line of JSON, too.
type answer struct {
	// Why the kubelet pulls no image at all for the Pod. Go's JSON writes U+FFFD for what is no UTF-8 in it.
	Refusal string `json:"refusal,omitempty"`
	// One for each image, in the question's order.
	Images []imageAnswer `json:"images,omitempty"`
}

type imageAnswer struct {
	// Why it is no image.
	Refusal string `json:"refusal,omitempty"`
	*normalForm
	// In the order in which the kubelet tries them.
	Credentials []candidate `json:"credentials,omitempty"`
}

type normalForm struct {
	Name       string `json:"name"`
	Registry   string `json:"registry"`
	Repository string `json:"repository"`
	Tag        string `json:"tag,omitempty"`
	Digest     string `json:"digest,omitempty"`
}

type candidate struct {
	// The name of the Secret that it is from.
	Secret string `json:"secret"`
	// In base64: it may be no UTF-8.
	Username []byte `json:"username"`
	// Whether there is neither username nor password.
	Blank bool `json:"blank,omitempty"`
}

// oracle answers, with the kubelet's own packages, one question for each line of its standard input, until that ends.
func oracle([]string) {
	klog.SetLogger(klog.Logger{}) // the keyring complains of every key that it skips
	if err := answerAll(os.Stdin, os.Stdout); err != nil {
		fail("the oracle cannot %v", err)
	}
}

// answerAll holds answers back only while further questions are there already: a conversation works, and a batch is
// fast.
func answerAll(input io.Reader, output io.Writer) error {
	questions, answers := bufio.NewReader(input), bufio.NewWriter(output)
	encoder := json.NewEncoder(answers)
	for {
		line, err := questions.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return answers.Flush()
		}
		if err != nil {
			return fmt.Errorf("read a question: %w", err)
		}
		var asked question
		if err := json.Unmarshal(line, &asked); err != nil {
			return fmt.Errorf("understand a question: %w", err)
		}
		if err := encoder.Encode(asked.answer()); err != nil {
			return fmt.Errorf("write an answer: %w", err)
		}
		if questions.Buffered() == 0 {
			if err := answers.Flush(); err != nil {
				return fmt.Errorf("write an answer: %w", err)
			}
		}
	}
}

func (asked question) answer() answer {
	each := normalise
	if asked.Secrets != nil {
		// As in the kubelet's pkg/kubelet/images/image_manager.go, on a node without credentials of its own.
		keyring, err := secrets.MakeDockerKeyring(*asked.Secrets, credentialprovider.UnionDockerKeyring{})
		if err != nil {
			return answer{Refusal: err.Error()}
		}
		each = func(image string) imageAnswer { return lookUp(keyring, image) }
	}
	var answered answer
	for _, image := range asked.Images {
		answered.Images = append(answered.Images, each(image))
	}
	return answered
}

func normalise(image string) imageAnswer {
	name, _, digest, err := parsers.ParseImageName(image)
	if err != nil {
		return imageAnswer{Refusal: err.Error()}
	}
	// The same once more, for the pieces that the kubelet has no use for, and the tag without its default.
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return imageAnswer{Refusal: err.Error()}
	}
	form := normalForm{Name: name, Registry: reference.Domain(named), Repository: reference.Path(named), Digest: digest}
	if tagged, ok := named.(reference.Tagged); ok {
		form.Tag = tagged.Tag()
	}
	return imageAnswer{normalForm: &form}
}

func lookUp(keyring credentialprovider.DockerKeyring, image string) imageAnswer {
	name, _, _, err := parsers.ParseImageName(image)
	if err != nil {
		return imageAnswer{Refusal: err.Error()}
	}
	var answered imageAnswer
	found, _ := keyring.Lookup(name)
	for _, one := range found {
		answered.Credentials = append(answered.Credentials, candidate{
			Secret:   one.Source.Secret.Name,
			Username: []byte(one.Username),
			Blank:    one.Username == "" && one.Password == "",
		})
	}
	return answered
}
