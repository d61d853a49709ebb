// Package memory is a store that forgets everything when the process ends.
package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/bookstore/catalog"
	"example.com/bookstore/pricing"
	"example.com/bookstore/store"
)

// Store implements store.Store.
type Store struct {
	mu     sync.RWMutex
	books  map[catalog.ISBN]catalog.Book
	orders []store.Order
	now    func() time.Time
}

var _ store.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	return &Store{books: make(map[catalog.ISBN]catalog.Book), now: time.Now}
}

func (s *Store) AddBook(_ context.Context, book catalog.Book) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.books[book.ISBN]; taken {
		return fmt.Errorf("book %s: %w", book.ISBN, store.ErrExists)
	}
	s.books[book.ISBN] = book
	return nil
}

func (s *Store) Book(_ context.Context, isbn catalog.ISBN) (catalog.Book, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.find(isbn)
}

// find wants the lock held.
func (s *Store) find(isbn catalog.ISBN) (catalog.Book, error) {
	book, found := s.books[isbn]
	if !found {
		return catalog.Book{}, fmt.Errorf("book %s: %w", isbn, store.ErrNotFound)
	}
	return book, nil
}

func (s *Store) Books(_ context.Context, q store.Query) ([]catalog.Book, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	text := strings.ToLower(q.Text)
	found := []catalog.Book{}
	for _, book := range s.books {
		if strings.Contains(strings.ToLower(book.Title+"\n"+book.Author), text) {
			found = append(found, book)
		}
	}
	slices.SortFunc(found, func(a, b catalog.Book) int {
		return cmp.Or(cmp.Compare(a.Title, b.Title), cmp.Compare(a.ISBN, b.ISBN))
	})
	if q.Limit > 0 && len(found) > q.Limit {
		found = found[:q.Limit]
	}
	return found, nil
}

func (s *Store) Restock(_ context.Context, isbn catalog.ISBN, copies int) (int, error) {
	if copies < 1 {
		return 0, fmt.Errorf("%w: restock by %d", store.ErrInvalid, copies)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	book, err := s.find(isbn)
	if err != nil {
		return 0, err
	}
	book.Stock += copies
	s.books[isbn] = book
	return book.Stock, nil
}

func (s *Store) PlaceOrder(_ context.Context, lines []store.Line) (store.Order, error) {
	if err := store.Validate(lines); err != nil {
		return store.Order{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	priced := make([]pricing.Line, len(lines))
	for i, line := range lines {
		book, err := s.find(line.ISBN)
		if err != nil {
			return store.Order{}, err
		}
		if book.Stock < line.Quantity {
			return store.Order{}, fmt.Errorf("book %s: %w: %d left, %d ordered",
				line.ISBN, store.ErrOutOfStock, book.Stock, line.Quantity)
		}
		priced[i] = pricing.Line{Unit: book.Price, Quantity: line.Quantity}
	}
	for _, line := range lines {
		book := s.books[line.ISBN]
		book.Stock -= line.Quantity
		s.books[line.ISBN] = book
	}
	order := store.Order{
		ID:     int64(len(s.orders) + 1),
		Placed: s.now().UTC(),
		Lines:  slices.Clone(lines),
		Quote:  pricing.Price(priced),
	}
	s.orders = append(s.orders, order)
	return order, nil
}

func (s *Store) Order(_ context.Context, id int64) (store.Order, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if id < 1 || id > int64(len(s.orders)) {
		return store.Order{}, fmt.Errorf("order %d: %w", id, store.ErrNotFound)
	}
	return s.orders[id-1], nil
}

func (s *Store) Ping(context.Context) error { return nil }

func (s *Store) Close() error { return nil }
