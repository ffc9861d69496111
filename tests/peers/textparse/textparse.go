package main

import (
	"errors"
	"io"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

// byTextparse reads a page as a Prometheus 3 with native histograms does, classic ones beside them.
//
// Start timestamps are asked for only when the whole page can be read: in OpenMetrics they are
// looked for ahead, and textparse never comes back from an exemplar there that is malformed.
func byTextparse(contentType string, page []byte) parsed {
	first := parseAll(contentType, page, false)
	if first.Error != "" {
		return first
	}
	return parseAll(contentType, page, true)
}

func parseAll(contentType string, page []byte, withStarts bool) parsed {
	var read parsed
	guarded(&read, func() error {
		options := textparse.ParserOptions{
			KeepClassicOnClassicAndNativeHistograms: true,
			OpenMetricsSkipSTSeries:                 true,
		}
		parser, err := textparse.New(page, contentType, labels.NewSymbolTable(), options)
		if parser == nil {
			return err
		}
		for {
			entry, err := parser.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			read.add(parser, entry, withStarts)
		}
	})
	return read
}

func (read *parsed) add(parser textparse.Parser, entry textparse.Entry, withStarts bool) {
	switch entry {
	case textparse.EntryType:
		name, kind := parser.Type()
		read.Types = append(read.Types, [2]string{string(name), string(kind)})
	case textparse.EntryHelp:
		name, help := parser.Help()
		read.Helps = append(read.Helps, [2]string{string(name), string(help)})
	case textparse.EntryUnit:
		name, unit := parser.Unit()
		read.Units = append(read.Units, [2]string{string(name), string(unit)})
	case textparse.EntrySeries:
		read.addSample(parser, withStarts)
	case textparse.EntryHistogram:
		read.addNative(parser, withStarts)
	}
}

func (read *parsed) addSample(parser textparse.Parser, withStart bool) {
	_, time, value := parser.Series()
	one := sample{Value: bits(value), TimeMs: copied(time)}
	one.Labels = labelPairs(parser)
	var shown exemplar.Exemplar
	if parser.Exemplar(&shown) {
		one.Exemplar = observe(&shown)
	}
	// Asked last: it reads ahead, and the state of the sample is gone.
	if withStart {
		one.StartMs = parser.StartTimestamp()
	}
	read.Samples = append(read.Samples, one)
}

func (read *parsed) addNative(parser textparse.Parser, withStart bool) {
	_, time, whole, float := parser.Histogram()
	one := native{TimeMs: copied(time)}
	if withStart {
		one.StartMs = parser.StartTimestamp()
	}
	one.Labels = labelPairs(parser)
	if whole != nil {
		float = whole.ToFloat(nil)
	} else {
		one.IsFloat = true
	}
	one.Schema = float.Schema
	one.IsGauge = float.CounterResetHint == histogram.GaugeType
	one.Sum, one.Count = bits(float.Sum), bits(float.Count)
	one.ZeroWidth, one.ZeroCount = bits(float.ZeroThreshold), bits(float.ZeroCount)
	one.Positive = buckets(float.PositiveBucketIterator())
	one.Negative = buckets(float.NegativeBucketIterator())
	for shown := (exemplar.Exemplar{}); parser.Exemplar(&shown); shown = (exemplar.Exemplar{}) {
		one.Exemplars = append(one.Exemplars, *observe(&shown))
	}
	read.Natives = append(read.Natives, one)
}

func labelPairs(parser textparse.Parser) [][2]string {
	var found labels.Labels
	parser.Labels(&found)
	return pairs(found)
}

func pairs(found labels.Labels) [][2]string {
	pairs := [][2]string{}
	found.Range(func(label labels.Label) {
		pairs = append(pairs, [2]string{label.Name, label.Value})
	})
	return pairs
}

func observe(shown *exemplar.Exemplar) *observed {
	one := observed{Labels: pairs(shown.Labels), Value: bits(shown.Value)}
	if shown.HasTs {
		one.TimeMs = &shown.Ts
	}
	return &one
}

func copied(time *int64) *int64 {
	if time == nil {
		return nil
	}
	value := *time
	return &value
}
