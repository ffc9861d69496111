package main

import (
	"fmt"
	"math"
	"strconv"

	"github.com/prometheus/prometheus/model/histogram"
)

// answer is what the parsers read in a page.
type answer struct {
	Textparse parsed `json:"textparse"`
	// Expfmt is nil for OpenMetrics, which it does not claim to read.
	Expfmt *parsed `json:"expfmt"`
}

// parsed is what one parser read before it ended or refused the page.
type parsed struct {
	Error   string      `json:"error"`
	Samples []sample    `json:"samples"`
	Natives []native    `json:"natives"`
	Types   [][2]string `json:"types"`
	Helps   [][2]string `json:"helps"`
	Units   [][2]string `json:"units"`
}

// sample is a series with a number.
type sample struct {
	// Labels are pairs of name and value in the parser's order; the name is "__name__".
	Labels [][2]string `json:"labels"`
	// Value is its bits in hex, since JSON has neither NaN nor infinities.
	Value string `json:"value"`
	// TimeMs is the explicit timestamp.
	TimeMs *int64 `json:"time_ms"`
	// StartMs is the start or created timestamp; 0 without one.
	StartMs  int64     `json:"start_ms"`
	Exemplar *observed `json:"exemplar"`
}

// observed is an exemplar.
type observed struct {
	Labels [][2]string `json:"labels"`
	Value  string      `json:"value"`
	TimeMs *int64      `json:"time_ms"`
}

// native is a series with a native histogram.
type native struct {
	Labels    [][2]string `json:"labels"`
	TimeMs    *int64      `json:"time_ms"`
	StartMs   int64       `json:"start_ms"`
	Schema    int32       `json:"schema"`
	IsFloat   bool        `json:"is_float"`
	IsGauge   bool        `json:"is_gauge"`
	Sum       string      `json:"sum"`
	Count     string      `json:"count"`
	ZeroWidth string      `json:"zero_threshold"`
	ZeroCount string      `json:"zero_count"`
	// Buckets are pairs of index and count, without empty ones.
	Positive  []bucket   `json:"positive"`
	Negative  []bucket   `json:"negative"`
	Exemplars []observed `json:"exemplars"`
}

type bucket struct {
	Index int32  `json:"index"`
	Count string `json:"count"`
}

// bits writes a number so that it survives JSON; every NaN is the same.
func bits(value float64) string {
	if math.IsNaN(value) {
		return "nan"
	}
	return strconv.FormatUint(math.Float64bits(value), 16)
}

func buckets(iterator histogram.BucketIterator[float64]) []bucket {
	found := []bucket{}
	for iterator.Next() {
		at := iterator.At()
		if at.Count != 0 {
			found = append(found, bucket{at.Index, bits(at.Count)})
		}
	}
	return found
}

func number(text string) any {
	value, err := strconv.ParseFloat(text, 64)
	failure := ""
	if err != nil {
		failure = err.Error()
	}
	return map[string]string{"error": failure, "value": bits(value)}
}

// guarded runs a parser that may panic.
func guarded(into *parsed, parse func() error) {
	defer func() {
		if caught := recover(); caught != nil {
			into.Error = fmt.Sprint("panic: ", caught)
		}
	}()
	if err := parse(); err != nil {
		into.Error = err.Error()
	}
}
