package knob

import (
	"strings"
	"testing"
	"time"
)

func from(values map[string]string) *Set {
	return New(func(name string) (string, bool) { value, found := values[name]; return value, found })
}

func TestValuesAndDefaults(t *testing.T) {
	set := from(map[string]string{"A": "310ms", "B": "0.0045", "D": "http://127.0.0.1:1"})
	if got := set.Duration("A", "230ms", ""); got != 310*time.Millisecond {
		t.Errorf("A: %v", got)
	}
	if got := set.Rate("B", "0", ""); got != 0.0045 {
		t.Errorf("B: %v", got)
	}
	if got := set.Count("C", "7", ""); got != 7 {
		t.Errorf("C: %v", got)
	}
	if got := set.URL("D", "", ""); got != "http://127.0.0.1:1" {
		t.Errorf("D: %v", got)
	}
	if got := set.URL("E", "", ""); got != "" {
		t.Errorf("E: %v", got)
	}
	if err := set.Err(); err != nil {
		t.Error(err)
	}
}

// Guarantees: every mistake is named at once.
func TestAllMistakesAtOnce(t *testing.T) {
	set := from(map[string]string{
		"A": "-1s", "B": "1.5", "C": "-1", "D": "payments:80", "E": "many", "F": "NaN",
	})
	set.Duration("A", "0s", "")
	set.Rate("B", "0", "")
	set.Count("C", "0", "")
	set.URL("D", "", "")
	set.Factor("E", "1", "")
	set.Factor("F", "1", "")
	text := ""
	if err := set.Err(); err != nil {
		text = err.Error()
	}
	for _, name := range []string{"A: ", "B: ", "C: ", "D: ", "E: ", "F: "} {
		if !strings.Contains(text, name) {
			t.Errorf("%s is not reported in %q", name, text)
		}
	}
}
