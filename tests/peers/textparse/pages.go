package main

import (
	"bytes"
	"encoding/hex"
	"math"
	"math/rand"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// written is a page of client_golang.
type written struct {
	ContentType string `json:"content_type"`
	Page        string `json:"page"`
}

// hostile are values that break parsers which split at a character.
var hostile = []string{
	"", `"`, `\`, "\n", "{", "}", ",", "#", "=", " ", `\n`, `\"`, `a\`, `\\n`, "a,b=\"c\"", "} 1\nx 2",
	"/api/orders/{id}", "# EOF", "# {trace_id=\"x\"} 1", "é", "日本語", "\u0000", "\t", "\u2028",
	"\U0001f980", "le", "+Inf", "NaN", "%", "'", "`", "a\rb", "a b", `C:\dir\file`, "\x7f", "'; --", "\ufeff",
}

// names are metric and label names beyond the legacy character set too.
var names = []string{"a", "b_c", "a.b", "with space", `qu"ote`, `back\slash`, "é", "日x", "9starts", "a{b}", "x=y", "U__a_2E_b"}

// pages renders one registry in every format and escaping scheme that client_golang has.
func pages(seed string) any {
	number, err := strconv.ParseInt(seed, 10, 64)
	if err != nil {
		fatal(err)
	}
	families, err := registry(rand.New(rand.NewSource(number))).Gather()
	if err != nil {
		fatal(err)
	}
	open, err := expfmt.NewOpenMetricsFormat(expfmt.OpenMetricsVersion_1_0_0)
	if err != nil {
		fatal(err)
	}
	formats := []expfmt.Format{expfmt.FmtText, expfmt.FmtProtoDelim, open}
	schemes := []model.EscapingScheme{
		model.NoEscaping, model.UnderscoreEscaping, model.DotsEscaping, model.ValueEncodingEscaping,
	}
	found := []written{}
	for _, format := range formats {
		for _, scheme := range schemes {
			found = append(found, render(format.WithEscapingScheme(scheme), families))
		}
	}
	return found
}

func render(format expfmt.Format, families []*dto.MetricFamily) written {
	var page bytes.Buffer
	encoder := expfmt.NewEncoder(&page, format, expfmt.WithCreatedLines())
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			fatal(err)
		}
	}
	if closer, ok := encoder.(expfmt.Closer); ok {
		if err := closer.Close(); err != nil {
			fatal(err)
		}
	}
	encoded := hex.EncodeToString(page.Bytes())
	return written{ContentType: string(format), Page: encoded}
}

func registry(draw *rand.Rand) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	for index := range 6 {
		prefix := string(rune('a'+index)) + "_"
		name := func() string { return prefix + pick(draw, names) }
		help := withoutNUL(draw)
		labels := draw.Perm(len(names))[:1+draw.Intn(3)]
		var labelNames []string
		for _, label := range labels {
			labelNames = append(labelNames, names[label])
		}
		values := func() (values []string) {
			for range labelNames {
				values = append(values, pick(draw, hostile))
			}
			return values
		}
		switch index % 6 {
		case 0:
			vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name() + "_total", Help: help}, labelNames)
			for range 4 {
				counter := vec.WithLabelValues(values()...)
				counter.Add(draw.Float64() * 100)
				counter.(prometheus.ExemplarAdder).AddWithExemplar(1, traced(draw))
			}
			registry.MustRegister(vec)
		case 1:
			vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name(), Help: help}, labelNames)
			for _, value := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -0.5, 1e300, 5e-324} {
				vec.WithLabelValues(values()...).Set(value)
			}
			registry.MustRegister(vec)
		case 2:
			options := prometheus.HistogramOpts{Name: name(), Help: help, Buckets: []float64{-1, 0.005, 0.5, 1e6}}
			registry.MustRegister(filled(draw, options, labelNames, values))
		case 3:
			options := prometheus.HistogramOpts{
				Name: name(), Help: help, NativeHistogramBucketFactor: 1.1, Buckets: []float64{0.1, 1},
			}
			registry.MustRegister(filled(draw, options, labelNames, values))
		case 4:
			options := prometheus.HistogramOpts{
				Name: name(), Help: help, NativeHistogramBucketFactor: 2,
				NativeHistogramMaxExemplars: 4,
			}
			registry.MustRegister(filled(draw, options, labelNames, values))
		case 5:
			objectives := map[float64]float64{0.5: 0.05, 0.99: 0.001}
			vec := prometheus.NewSummaryVec(
				prometheus.SummaryOpts{Name: name(), Help: help, Objectives: objectives}, labelNames)
			vec.WithLabelValues(values()...)
			for range 3 {
				vec.WithLabelValues(values()...).Observe(draw.ExpFloat64())
			}
			registry.MustRegister(vec)
		}
	}
	return registry
}

func filled(
	draw *rand.Rand, options prometheus.HistogramOpts, labels []string, values func() []string,
) *prometheus.HistogramVec {
	vec := prometheus.NewHistogramVec(options, labels)
	vec.WithLabelValues(values()...)
	for range 3 {
		observer := vec.WithLabelValues(values()...)
		for range draw.Intn(30) {
			value := math.Pow(10, draw.NormFloat64()*3)
			if draw.Intn(4) == 0 {
				value = -value
			}
			observer.(prometheus.ExemplarObserver).ObserveWithExemplar(value, traced(draw))
		}
	}
	return vec
}

func traced(draw *rand.Rand) prometheus.Labels {
	return prometheus.Labels{"trace_id": strconv.FormatUint(draw.Uint64(), 16), "x": withoutNUL(draw)}
}

// withoutNUL picks what all parsers take in help and exemplars.
func withoutNUL(draw *rand.Rand) string {
	return strings.ReplaceAll(pick(draw, hostile), "\x00", "")
}

func pick(draw *rand.Rand, from []string) string {
	return from[draw.Intn(len(from))]
}
