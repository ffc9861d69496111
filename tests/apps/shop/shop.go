package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"davy.dev/apps/internal/behave"
	"davy.dev/apps/internal/instrument"
)

const (
	nProducts = 100
	// nOrders is how many orders are remembered; the oldest are forgotten.
	nOrders = 10_000
	// paymentsTimeout is long for payments, and short for a customer.
	paymentsTimeout = 2 * time.Second
)

type product struct {
	ID    int    `json:"id"`
	Name  string `json:"name"`
	Cents int64  `json:"cents"`
}

type order struct {
	ID      int    `json:"id"`
	Product int    `json:"product"`
	Count   int64  `json:"count"`
	Cents   int64  `json:"cents"`
	Charge  string `json:"charge,omitempty"`
}

type shop struct {
	products []product
	payments string
	client   *http.Client

	lock   sync.Mutex
	orders [nOrders]order
	last   int

	placed  *prometheus.CounterVec
	known   prometheus.Gauge
	value   prometheus.Summary
	results *prometheus.CounterVec
}

func newShop(registry *prometheus.Registry, payments string) *shop {
	s := &shop{
		payments: strings.TrimSuffix(payments, "/"),
		client: &http.Client{
			Transport: otelhttp.NewTransport(&http.Transport{MaxIdleConnsPerHost: 64}),
			Timeout:   paymentsTimeout,
		},
		placed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shop_orders_total", Help: "Orders by what became of them.",
		}, []string{"outcome"}),
		known: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "shop_orders_known", Help: "Orders that can be looked up.",
		}),
		value: prometheus.NewSummary(prometheus.SummaryOpts{
			Name: "shop_order_value_euros", Help: "What an order is worth.",
			Objectives: map[float64]float64{0.5: 0.05, 0.9: 0.01, 0.99: 0.001},
		}),
		// A name and a label that only Prometheus 3's quoted syntax can write.
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shop.search.results_total", Help: "Products found by searches.",
		}, []string{"search.kind"}),
	}
	registry.MustRegister(s.placed, s.known, s.value, s.results)
	adjectives := []string{"red", "green", "blue", "brass", "copper", "steel", "old", "new", "small", "big"}
	things := []string{"lamp", "wick", "gauze", "flint", "shovel", "pick", "rope", "boot", "helmet", "cart"}
	for i := range nProducts {
		s.products = append(s.products, product{
			ID: i + 1, Name: adjectives[i/10] + " " + things[i%10], Cents: int64(199 + 37*i),
		})
	}
	for range nProducts {
		s.remember(order{ID: s.reserve(), Product: 1, Count: 1, Cents: s.products[0].Cents})
	}
	return s
}

// routes is the shop's interface. The shares are those of the usual mix of requests.
func (s *shop) routes() []instrument.Route {
	route := func(pattern string, answer instrument.Answer, share, latency, cpu float64) instrument.Route {
		fares := behave.Route{Share: share, Latency: latency, CPU: cpu}
		return instrument.Route{Pattern: pattern, Fares: fares, Answer: answer}
	}
	return []instrument.Route{
		route("GET /products", s.list, 0.30, 1.0, 1.2),
		route("GET /products/{id}", s.show, 0.40, 0.7, 0.7),
		route("GET /search", s.search, 0.15, 1.4, 1.5),
		route("POST /orders", s.place, 0.05, 1.6, 1.6),
		route("GET /orders/{id}", s.lookUp, 0.10, 0.8, 0.6),
	}
}

func (s *shop) list(*http.Request) (int, any) { return http.StatusOK, s.products[:20] }

func (s *shop) show(r *http.Request) (int, any) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		return refuse(http.StatusBadRequest, "a product's id is a number")
	}
	if id < 1 || id > len(s.products) {
		return refuse(http.StatusNotFound, "no such product")
	}
	return http.StatusOK, s.products[id-1]
}

// search finds the products that have any of the words: ?q=red,lamp.
func (s *shop) search(r *http.Request) (int, any) {
	words := strings.Split(r.URL.Query().Get("q"), ",")
	found := make([]product, 0, 20)
	for _, p := range s.products {
		for _, word := range words {
			if word != "" && strings.Contains(p.Name, word) {
				found = append(found, p)
				break
			}
		}
	}
	kind := "one word"
	if len(words) > 1 {
		kind = "several words"
	}
	s.results.WithLabelValues(kind).Add(float64(len(found)))
	return http.StatusOK, found
}

func (s *shop) place(r *http.Request) (int, any) {
	wanted := order{Product: 1, Count: 1}
	err := json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(&wanted)
	if err != nil && err != io.EOF {
		return refuse(http.StatusBadRequest, "an order is JSON: "+err.Error())
	}
	if wanted.Product < 1 || wanted.Product > len(s.products) || wanted.Count < 1 || wanted.Count > 1000 {
		s.placed.WithLabelValues("refused").Inc()
		return refuse(http.StatusUnprocessableEntity, "no such product, or no such number of them")
	}
	wanted.ID = s.reserve()
	wanted.Cents = wanted.Count * s.products[wanted.Product-1].Cents
	if s.payments != "" {
		if wanted.Charge, err = s.charge(r.Context(), wanted); err != nil {
			s.placed.WithLabelValues("unpaid").Inc()
			return refuse(http.StatusServiceUnavailable, "payments: "+err.Error())
		}
	}
	s.remember(wanted)
	s.placed.WithLabelValues("placed").Inc()
	s.value.Observe(float64(wanted.Cents) / 100)
	return http.StatusCreated, wanted
}

func (s *shop) lookUp(r *http.Request) (int, any) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || id < 1 {
		return refuse(http.StatusBadRequest, "an order's id is a number")
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if found := s.orders[id%nOrders]; found.ID == id {
		return http.StatusOK, found
	}
	return refuse(http.StatusNotFound, "no such order")
}

// reserve returns the next order's number.
func (s *shop) reserve() int {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.last++
	return s.last
}

func (s *shop) remember(o order) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.orders[o.ID%nOrders] = o
	s.known.Set(float64(min(s.last, nOrders)))
}

// charge asks payments for the money and returns the charge's name.
func (s *shop) charge(ctx context.Context, o order) (string, error) {
	body, err := json.Marshal(map[string]any{"order": strconv.Itoa(o.ID), "cents": o.Cents})
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.payments+"/charge", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var made struct {
		Charge string `json:"charge"`
	}
	err = json.NewDecoder(response.Body).Decode(&made)
	// Read to the end, so that the connection is used again.
	_, _ = io.Copy(io.Discard, response.Body)
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("answered %d", response.StatusCode)
	}
	return made.Charge, err
}

func refuse(code int, why string) (int, any) { return code, map[string]string{"error": why} }
