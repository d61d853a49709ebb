package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/bookstore/catalog"
	"example.com/bookstore/httpapi"
	"example.com/bookstore/store"
	"example.com/bookstore/store/memory"
)

const dune = `{"isbn":"978-0-441-17271-9","title":"Dune","author":"Frank Herbert","price_cents":1099,"stock":3}`

// shop is a service with one book on sale.
func shop(t *testing.T) http.Handler {
	t.Helper()
	handler := httpapi.New(memory.New(), slog.Default())
	if got := send(handler, "POST", "/books", dune); got.Code != http.StatusCreated {
		t.Fatalf("adding a book: %d %s", got.Code, got.Body)
	}
	return handler
}

func send(handler http.Handler, method, path, body string) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(method, path, strings.NewReader(body)))
	return recorder
}

func TestAPI(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"health", "GET", "/healthz", "", 200, `"ok"`},
		{"list", "GET", "/books", "", 200, `"title":"Dune"`},
		{"search", "GET", "/books?q=tolstoy", "", 200, `[]`},
		{"bad limit", "GET", "/books?limit=many", "", 400, `limit \"many\"`},
		{"one book", "GET", "/books/0441172717", "", 200, `"stock":3`},
		{"unknown book", "GET", "/books/9780134190440", "", 404, "not found"},
		{"bad ISBN", "GET", "/books/123", "", 400, "invalid ISBN"},
		{"book twice", "POST", "/books", dune, 409, "already exists"},
		{"book without title", "POST", "/books", `{"isbn":"9780134190440"}`, 400, "title is empty"},
		{"unknown field", "POST", "/books", `{"colour":"red"}`, 400, "colour"},
		{"restock", "POST", "/books/9780441172719/restock", `{"copies":2}`, 200, `{"stock":5}`},
		{"order", "POST", "/orders", `{"lines":[{"isbn":"9780441172719","quantity":3}]}`, 201, `"total_cents":3792`},
		{"order too many", "POST", "/orders", `{"lines":[{"isbn":"9780441172719","quantity":4}]}`, 409, "3 left, 4 ordered"},
		{"empty order", "POST", "/orders", `{}`, 400, "no lines"},
		{"unknown order", "GET", "/orders/1", "", 404, "not found"},
		{"wrong method", "DELETE", "/books", "", 405, "Method Not Allowed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := send(shop(t), tt.method, tt.path, tt.body)
			if got.Code != tt.status || !strings.Contains(got.Body.String(), tt.want) {
				t.Errorf("%s %s = %d %s, want %d with %s", tt.method, tt.path, got.Code, got.Body, tt.status, tt.want)
			}
		})
	}
}

func TestOrderCanBeReadBack(t *testing.T) {
	server := httptest.NewServer(shop(t))
	defer server.Close()

	body := strings.NewReader(`{"lines":[{"isbn":"9780441172719","quantity":1}]}`)
	placed, err := http.Post(server.URL+"/orders", "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer placed.Body.Close()
	found, err := http.Get(server.URL + placed.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	defer found.Body.Close()
	var order store.Order
	if err := json.NewDecoder(found.Body).Decode(&order); err != nil {
		t.Fatal(err)
	}
	if order.ID != 1 || order.Quote.Total != 1594 {
		t.Errorf("order = %+v, want id 1 for 15.94", order)
	}
}

// broken answers every question about books with an error of its own.
type broken struct{ store.Store }

func (broken) Book(context.Context, catalog.ISBN) (catalog.Book, error) {
	return catalog.Book{}, errors.New("disk on fire")
}

func TestInternalErrorsStayInside(t *testing.T) {
	var log bytes.Buffer
	handler := httpapi.New(broken{}, slog.New(slog.NewTextHandler(&log, nil)))
	got := send(handler, "GET", "/books/9780441172719", "")
	if got.Code != http.StatusInternalServerError || strings.Contains(got.Body.String(), "fire") {
		t.Errorf("answer = %d %s", got.Code, got.Body)
	}
	if !strings.Contains(log.String(), "disk on fire") {
		t.Errorf("log = %q", log.String())
	}
}
