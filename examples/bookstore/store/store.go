// Package store says what the shop asks of its storage. The rest of the shop
// knows this interface only, so a memory store and a database are exchangeable.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/bookstore/catalog"
	"example.com/bookstore/pricing"
)

var (
	ErrNotFound   = errors.New("not found")
	ErrExists     = errors.New("already exists")
	ErrOutOfStock = errors.New("out of stock")
	ErrInvalid    = errors.New("invalid order")
)

// Store keeps books and orders. It is safe for concurrent use; every method is
// one transaction, so a method that fails has changed nothing.
type Store interface {
	// AddBook puts a new title on sale. ErrExists if its ISBN is taken.
	AddBook(ctx context.Context, book catalog.Book) error
	// Book finds one title. ErrNotFound.
	Book(ctx context.Context, isbn catalog.ISBN) (catalog.Book, error)
	// Books lists titles by title, then ISBN; never nil.
	Books(ctx context.Context, q Query) ([]catalog.Book, error)
	// Restock adds copies (more than 0) and returns the new stock. ErrNotFound.
	Restock(ctx context.Context, isbn catalog.ISBN, copies int) (int, error)
	// PlaceOrder takes the copies out of stock and records the order at the
	// prices of that moment, with the next id. ErrInvalid, ErrNotFound, ErrOutOfStock.
	PlaceOrder(ctx context.Context, lines []Line) (Order, error)
	// Order finds one order. ErrNotFound.
	Order(ctx context.Context, id int64) (Order, error)
	// Ping says whether the storage can be reached.
	Ping(ctx context.Context) error
	// Close gives the store's resources back.
	Close() error
}

// Query narrows a list of books. The zero value asks for all of them.
type Query struct {
	Text  string // part of title or author, in any case
	Limit int    // at most so many; 0: no limit
}

// Line asks for copies of one title.
type Line struct {
	ISBN     catalog.ISBN `json:"isbn"`
	Quantity int          `json:"quantity"`
}

// Order is an accepted order.
type Order struct {
	ID     int64         `json:"id"`
	Placed time.Time     `json:"placed"`
	Lines  []Line        `json:"lines"`
	Quote  pricing.Quote `json:"quote"`
}

// Validate holds every store to the same rules before it looks at its data.
func Validate(lines []Line) error {
	if len(lines) == 0 {
		return fmt.Errorf("%w: it has no lines", ErrInvalid)
	}
	seen := make(map[catalog.ISBN]bool, len(lines))
	for _, line := range lines {
		switch {
		case line.Quantity < 1:
			return fmt.Errorf("%w: quantity %d of %s", ErrInvalid, line.Quantity, line.ISBN)
		case seen[line.ISBN]:
			return fmt.Errorf("%w: %s is named twice", ErrInvalid, line.ISBN)
		}
		seen[line.ISBN] = true
	}
	return nil
}
