// Command relabel says what Prometheus's package model/relabel makes of series. It is the oracle of
// differential tests.
//
// Each line on stdin is a JSON object with rules, as YAML would have them, and series; each line on
// stdout says what is left of each series (null when it is dropped), or why the rules are refused.
// The line {"letters":true} asks what Go makes of every character in upper and in lower case.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v2"
)

type request struct {
	Rules   json.RawMessage     `json:"rules"`
	Series  []map[string]string `json:"series"`
	Letters bool                `json:"letters"`
}

type answer struct {
	Error  string              `json:"error"`
	Series []map[string]string `json:"series"`
	Upper  map[string]string   `json:"upper,omitempty"`
	Lower  map[string]string   `json:"lower,omitempty"`
}

func main() {
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), bufio.NewWriterSize(os.Stdout, 1<<20)
	encoder := json.NewEncoder(out)
	decoder := json.NewDecoder(in)
	for decoder.More() {
		var asked request
		if err := decoder.Decode(&asked); err != nil {
			fatal(err)
		}
		if err := encoder.Encode(answerTo(asked)); err != nil {
			fatal(err)
		}
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				fatal(err)
			}
		}
	}
	if err := out.Flush(); err != nil {
		fatal(err)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "relabel:", err)
	os.Exit(1)
}

func answerTo(asked request) answer {
	if asked.Letters {
		return answer{Upper: mapped(strings.ToUpper), Lower: mapped(strings.ToLower)}
	}
	var rules []*relabel.Config
	if err := yaml.UnmarshalStrict(asked.Rules, &rules); err != nil {
		return answer{Error: err.Error()}
	}
	for _, rule := range rules {
		if err := rule.Validate(model.UTF8Validation); err != nil {
			return answer{Error: err.Error()}
		}
	}
	result := answer{Series: []map[string]string{}}
	for _, series := range asked.Series {
		builder := labels.NewBuilder(labels.FromMap(series))
		if !relabel.ProcessBuilder(builder, rules...) {
			result.Series = append(result.Series, nil)
			continue
		}
		result.Series = append(result.Series, builder.Labels().Map())
	}
	return result
}

// mapped returns the characters that a function changes.
func mapped(change func(string) string) map[string]string {
	changed := map[string]string{}
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		if before := string(r); change(before) != before {
			changed[before] = change(before)
		}
	}
	return changed
}
