package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"sort"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// byExpfmt reads a page as the client libraries' own decoder does. Of a page that it refuses
// nothing is told, since it has no order.
func byExpfmt(contentType string, page []byte) *parsed {
	if strings.HasPrefix(contentType, "application/openmetrics-text") {
		return nil
	}
	var read parsed
	guarded(&read, func() error {
		families, err := families(contentType, page)
		if err != nil {
			return err
		}
		sort.Slice(families, func(a, b int) bool { return families[a].GetName() < families[b].GetName() })
		for _, family := range families {
			read.addFamily(family)
		}
		return nil
	})
	return &read
}

func families(contentType string, page []byte) (found []*dto.MetricFamily, err error) {
	if strings.HasPrefix(contentType, "text/plain") {
		parser := expfmt.NewTextParser(model.UTF8Validation)
		named, err := parser.TextToMetricFamilies(bytes.NewReader(page))
		for _, family := range named {
			found = append(found, family)
		}
		return found, err
	}
	if err := framed(page); err != nil {
		return nil, err
	}
	format := expfmt.FmtProtoDelim.WithEscapingScheme(model.NoEscaping)
	decoder := expfmt.NewDecoder(bytes.NewReader(page), format)
	for {
		family := &dto.MetricFamily{}
		err := decoder.Decode(family)
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return found, err
		}
		found = append(found, family)
	}
}

// framed refuses a page whose lengths lead out of it: expfmt would first allocate what they say, and
// be ended for want of memory.
func framed(page []byte) error {
	for len(page) > 0 {
		length, taken := binary.Uvarint(page)
		if taken <= 0 || length > uint64(len(page)-taken) {
			return io.ErrUnexpectedEOF
		}
		page = page[uint64(taken)+length:]
	}
	return nil
}

func (read *parsed) addFamily(family *dto.MetricFamily) {
	name := family.GetName()
	read.Types = append(read.Types, [2]string{name, kindName(family.GetType())})
	if family.Help != nil {
		read.Helps = append(read.Helps, [2]string{name, family.GetHelp()})
	}
	for _, metric := range family.Metric {
		read.addMetric(name, family.GetType(), metric)
	}
}

func kindName(kind dto.MetricType) string {
	if kind == dto.MetricType_UNTYPED {
		return "unknown"
	}
	return strings.ReplaceAll(strings.ToLower(kind.String()), "_", "")
}

func (read *parsed) addMetric(name string, kind dto.MetricType, metric *dto.Metric) {
	add := func(suffix string, value float64, extra ...string) {
		one := sample{Labels: [][2]string{{"__name__", name + suffix}}, Value: bits(value)}
		for _, label := range metric.Label {
			one.Labels = append(one.Labels, [2]string{label.GetName(), label.GetValue()})
		}
		if len(extra) == 2 {
			one.Labels = append(one.Labels, [2]string{extra[0], extra[1]})
		}
		one.TimeMs = metric.TimestampMs
		read.Samples = append(read.Samples, one)
	}
	switch kind {
	case dto.MetricType_COUNTER:
		add("", metric.GetCounter().GetValue())
	case dto.MetricType_GAUGE:
		add("", metric.GetGauge().GetValue())
	case dto.MetricType_UNTYPED:
		add("", metric.GetUntyped().GetValue())
	case dto.MetricType_SUMMARY:
		summary := metric.GetSummary()
		for _, quantile := range summary.Quantile {
			add("", quantile.GetValue(), "quantile", float(quantile.GetQuantile()))
		}
		add("_sum", summary.GetSampleSum())
		add("_count", float64(summary.GetSampleCount()))
	case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
		classic := metric.GetHistogram()
		count := classic.GetSampleCountFloat()
		if count == 0 {
			count = float64(classic.GetSampleCount())
		}
		infinite := false
		for _, bucket := range classic.Bucket {
			cumulative := bucket.GetCumulativeCountFloat()
			if cumulative == 0 {
				cumulative = float64(bucket.GetCumulativeCount())
			}
			infinite = infinite || math.IsInf(bucket.GetUpperBound(), 1)
			add("_bucket", cumulative, "le", float(bucket.GetUpperBound()))
		}
		if !infinite {
			add("_bucket", count, "le", "+Inf")
		}
		add("_sum", classic.GetSampleSum())
		add("_count", count)
	}
}

func float(value float64) string {
	return strconv.FormatFloat(value, 'g', -1, 64)
}
