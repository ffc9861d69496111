package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"davy.dev/apps/internal/behave"
)

// answer asks one route, as the mux would.
func answer(t *testing.T, s *shop, method, target, body string) (int, any) {
	t.Helper()
	mux := http.NewServeMux()
	var code int
	var value any
	for _, route := range s.routes() {
		mux.HandleFunc(route.Pattern, func(_ http.ResponseWriter, r *http.Request) {
			code, value = route.Answer(r)
		})
	}
	mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, target, strings.NewReader(body)))
	return code, value
}

func TestRoutes(t *testing.T) {
	s := newShop(prometheus.NewRegistry(), "")
	for _, c := range []struct {
		method, target, body string
		want                 int
	}{
		{"GET", "/products", "", 200},
		{"GET", "/products/7", "", 200},
		{"GET", "/products/seven", "", 400},
		{"GET", "/products/101", "", 404},
		{"GET", "/search?q=red,lamp", "", 200},
		{"POST", "/orders", `{"product":3,"count":2}`, 201},
		{"POST", "/orders", "", 201},
		{"POST", "/orders", "{", 400},
		{"POST", "/orders", `{"product":0}`, 422},
		{"GET", "/orders/1", "", 200},
		{"GET", "/orders/9999", "", 404},
		{"GET", "/orders/x", "", 400},
	} {
		if code, _ := answer(t, s, c.method, c.target, c.body); code != c.want {
			t.Errorf("%s %s %s: %d, want %d", c.method, c.target, c.body, code, c.want)
		}
	}
}

func TestSearchFindsEitherWord(t *testing.T) {
	_, value := answer(t, newShop(prometheus.NewRegistry(), ""), "GET", "/search?q=red,lamp", "")
	// Ten red things and ten lamps, one of them both.
	if found := len(value.([]product)); found != 19 {
		t.Errorf("found %d", found)
	}
}

// Guarantees: an order is charged under its own number, and refused when it can't be paid.
func TestOrdersArePaidFor(t *testing.T) {
	status := http.StatusOK
	payments := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"charge":"c1"}`))
	}))
	defer payments.Close()
	s := newShop(prometheus.NewRegistry(), payments.URL)
	code, value := answer(t, s, "POST", "/orders", `{"product":3,"count":2}`)
	if placed := value.(order); code != 201 || placed.Charge != "c1" || placed.Cents != 2*273 {
		t.Errorf("answered %d %+v", code, value)
	}
	status = http.StatusInternalServerError
	if code, _ := answer(t, s, "POST", "/orders", `{"product":3}`); code != 503 {
		t.Errorf("an unpaid order was answered %d", code)
	}
}

func TestSharesAddUpToOne(t *testing.T) {
	total := 0.0
	for _, route := range newShop(prometheus.NewRegistry(), "").routes() {
		total += route.Fares.Share
		if route.Fares == (behave.Route{}) {
			t.Errorf("%s doesn't say how it fares", route.Pattern)
		}
	}
	if total < 0.999999 || total > 1.000001 {
		t.Errorf("the shares add up to %g", total)
	}
}
