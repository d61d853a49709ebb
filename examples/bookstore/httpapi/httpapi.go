// Package httpapi is the shop's HTTP face: JSON in, JSON out.
package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"example.com/bookstore/catalog"
	"example.com/bookstore/store"
)

type api struct {
	store store.Store
	log   *slog.Logger
}

// New returns the handler of the whole service.
func New(s store.Store, log *slog.Logger) http.Handler {
	a := &api{store: s, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", a.health)
	mux.HandleFunc("GET /books", a.listBooks)
	mux.HandleFunc("POST /books", a.addBook)
	mux.HandleFunc("GET /books/{isbn}", a.book)
	mux.HandleFunc("POST /books/{isbn}/restock", a.restock)
	mux.HandleFunc("POST /orders", a.placeOrder)
	mux.HandleFunc("GET /orders/{id}", a.order)
	return mux
}

func (a *api) health(w http.ResponseWriter, r *http.Request) {
	if err := a.store.Ping(r.Context()); err != nil {
		a.fail(w, r, err)
		return
	}
	a.reply(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (a *api) listBooks(w http.ResponseWriter, r *http.Request) {
	q := store.Query{Text: r.FormValue("q")}
	if limit := r.FormValue("limit"); limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 {
			a.fail(w, r, badRequest(fmt.Sprintf("limit %q is not a positive number", limit)))
			return
		}
		q.Limit = n
	}
	books, err := a.store.Books(r.Context(), q)
	a.answer(w, r, http.StatusOK, books, err)
}

func (a *api) addBook(w http.ResponseWriter, r *http.Request) {
	var book catalog.Book
	if err := read(r, &book); err != nil {
		a.fail(w, r, err)
		return
	}
	if err := book.Validate(); err != nil {
		a.fail(w, r, badRequest(err.Error()))
		return
	}
	book.ISBN, _ = catalog.ParseISBN(string(book.ISBN))
	a.answer(w, r, http.StatusCreated, book, a.store.AddBook(r.Context(), book))
}

func (a *api) book(w http.ResponseWriter, r *http.Request) {
	isbn, err := catalog.ParseISBN(r.PathValue("isbn"))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	book, err := a.store.Book(r.Context(), isbn)
	a.answer(w, r, http.StatusOK, book, err)
}

func (a *api) restock(w http.ResponseWriter, r *http.Request) {
	isbn, err := catalog.ParseISBN(r.PathValue("isbn"))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	var body struct {
		Copies int `json:"copies"`
	}
	if err := read(r, &body); err != nil {
		a.fail(w, r, err)
		return
	}
	stock, err := a.store.Restock(r.Context(), isbn, body.Copies)
	a.answer(w, r, http.StatusOK, map[string]int{"stock": stock}, err)
}

func (a *api) placeOrder(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Lines []store.Line `json:"lines"`
	}
	if err := read(r, &body); err != nil {
		a.fail(w, r, err)
		return
	}
	order, err := a.store.PlaceOrder(r.Context(), body.Lines)
	if err == nil {
		w.Header().Set("Location", fmt.Sprintf("/orders/%d", order.ID))
	}
	a.answer(w, r, http.StatusCreated, order, err)
}

func (a *api) order(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		a.fail(w, r, badRequest("an order's id is a number"))
		return
	}
	order, err := a.store.Order(r.Context(), id)
	a.answer(w, r, http.StatusOK, order, err)
}

// badRequest is the client's fault, in words for the client.
type badRequest string

func (e badRequest) Error() string { return string(e) }

func read(r *http.Request, into any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return badRequest("body: " + err.Error())
	}
	return nil
}

func (a *api) answer(w http.ResponseWriter, r *http.Request, status int, body any, err error) {
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.reply(w, status, body)
}

func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := status(err)
	message := err.Error()
	if status == http.StatusInternalServerError {
		a.log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "err", err)
		message = "internal error"
	}
	a.reply(w, status, map[string]string{"error": message})
}

func status(err error) int {
	var bad badRequest
	switch {
	case errors.As(err, &bad), errors.Is(err, catalog.ErrISBN), errors.Is(err, store.ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, store.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, store.ErrExists), errors.Is(err, store.ErrOutOfStock):
		return http.StatusConflict
	}
	return http.StatusInternalServerError
}

func (a *api) reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		a.log.Warn("reply not sent", "err", err)
	}
}
