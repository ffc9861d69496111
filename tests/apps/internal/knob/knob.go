// Package knob reads a program's settings from its environment. Every setting is declared once,
// with its default and its help; all mistakes are reported together.
package knob

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"
)

// Set is the declared settings of one program.
type Set struct {
	lookup   func(string) (string, bool)
	declared []declared
	mistakes []error
}

type declared struct{ name, fallback, help string }

// New returns an empty set that reads through lookup, usually os.LookupEnv.
func New(lookup func(string) (string, bool)) *Set { return &Set{lookup: lookup} }

// Text reads a string.
func (s *Set) Text(name, fallback, help string) string {
	s.declared = append(s.declared, declared{name, fallback, help})
	if value, found := s.lookup(name); found && value != "" {
		return value
	}
	return fallback
}

// Duration reads a Go duration, zero or longer, such as 230ms.
func (s *Set) Duration(name, fallback, help string) time.Duration {
	return read(s, name, fallback, help, "a duration of zero or more, such as 230ms",
		time.ParseDuration, func(d time.Duration) bool { return d >= 0 })
}

// Rate reads a probability in [0, 1].
func (s *Set) Rate(name, fallback, help string) float64 {
	return read(s, name, fallback, help, "a number from 0 to 1",
		parseFloat, func(f float64) bool { return f >= 0 && f <= 1 })
}

// Factor reads a multiplier in [0, 1000].
func (s *Set) Factor(name, fallback, help string) float64 {
	return read(s, name, fallback, help, "a number from 0 to 1000",
		parseFloat, func(f float64) bool { return f >= 0 && f <= 1000 })
}

// Count reads a whole number, zero or more.
func (s *Set) Count(name, fallback, help string) uint64 {
	parse := func(text string) (uint64, error) { return strconv.ParseUint(text, 10, 64) }
	return read(s, name, fallback, help, "a whole number, zero or more",
		parse, func(uint64) bool { return true })
}

// URL reads an http or https URL, or nothing.
func (s *Set) URL(name, fallback, help string) string {
	parse := func(text string) (string, error) {
		parsed, err := url.Parse(text)
		if err == nil && (parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https")) {
			err = errors.New("no http host")
		}
		return text, err
	}
	if text, found := s.lookup(name); (!found || text == "") && fallback == "" {
		s.declared = append(s.declared, declared{name, fallback, help})
		return ""
	}
	return read(s, name, fallback, help, "an http URL", parse, func(string) bool { return true })
}

// Reject adds a mistake that only the program can see.
func (s *Set) Reject(name, reason string) {
	s.mistakes = append(s.mistakes, fmt.Errorf("%s: %s", name, reason))
}

// Err is every mistake found so far, or nil.
func (s *Set) Err() error { return errors.Join(s.mistakes...) }

// WriteHelp lists the settings with their defaults.
func (s *Set) WriteHelp(w io.Writer) {
	for _, d := range s.declared {
		fallback := d.fallback
		if fallback == "" {
			fallback = "-"
		}
		fmt.Fprintf(w, "  %-28s %-16s %s\n", d.name, fallback, d.help)
	}
}

func parseFloat(text string) (float64, error) { return strconv.ParseFloat(text, 64) }

func read[T any](
	s *Set, name, fallback, help, want string, parse func(string) (T, error), valid func(T) bool,
) T {
	text := s.Text(name, fallback, help)
	value, err := parse(text)
	if err != nil || !valid(value) {
		s.Reject(name, fmt.Sprintf("%q is not %s", text, want))
	}
	return value
}
