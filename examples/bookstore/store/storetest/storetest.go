// Package storetest holds every implementation of store.Store to its contract.
package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"example.com/bookstore/catalog"
	"example.com/bookstore/store"
)

var (
	dune = catalog.Book{
		ISBN: "9780441172719", Title: "Dune", Author: "Frank Herbert", Price: 1099, Stock: 3,
	}
	emma = catalog.Book{
		ISBN: "9780141439587", Title: "Emma", Author: "Jane Austen", Price: 899, Stock: 12,
	}
)

// Run tests the stores that open returns; each must be empty.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	tests := []struct {
		name string
		test func(t *testing.T, s store.Store)
	}{
		{"books", testBooks},
		{"search", testSearch},
		{"restock", testRestock},
		{"order", testOrder},
		{"a refused order changes nothing", testRefused},
		{"the last copies are sold once", testConcurrent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			for _, book := range []catalog.Book{emma, dune} {
				if err := s.AddBook(context.Background(), book); err != nil {
					t.Fatal(err)
				}
			}
			tt.test(t, s)
		})
	}
}

func testBooks(t *testing.T, s store.Store) {
	ctx := context.Background()
	got, err := s.Book(ctx, dune.ISBN)
	if err != nil || got != dune {
		t.Errorf("Book = %+v, %v; want %+v", got, err, dune)
	}
	if err := s.AddBook(ctx, dune); !errors.Is(err, store.ErrExists) {
		t.Errorf("AddBook of a known ISBN: %v, want ErrExists", err)
	}
	if _, err := s.Book(ctx, "9780134190440"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Book of an unknown ISBN: %v, want ErrNotFound", err)
	}
	if err := s.Ping(ctx); err != nil {
		t.Errorf("Ping: %v", err)
	}
}

func testSearch(t *testing.T, s store.Store) {
	for _, tt := range []struct {
		name string
		q    store.Query
		want []catalog.Book
	}{
		{"everything by title", store.Query{}, []catalog.Book{dune, emma}},
		{"limit", store.Query{Limit: 1}, []catalog.Book{dune}},
		{"author in any case", store.Query{Text: "AUSTEN"}, []catalog.Book{emma}},
		{"nothing", store.Query{Text: "Tolstoy"}, []catalog.Book{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.Books(context.Background(), tt.q)
			if err != nil {
				t.Fatal(err)
			}
			if got == nil || len(got) != len(tt.want) {
				t.Fatalf("Books = %+v, want %+v", got, tt.want)
			}
			for i := range got {
				if got[i] != tt.want[i] {
					t.Errorf("book %d = %+v, want %+v", i, got[i], tt.want[i])
				}
			}
		})
	}
}

func testRestock(t *testing.T, s store.Store) {
	ctx := context.Background()
	if stock, err := s.Restock(ctx, dune.ISBN, 4); err != nil || stock != 7 {
		t.Errorf("Restock = %d, %v; want 7", stock, err)
	}
	if _, err := s.Restock(ctx, "9780134190440", 1); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Restock of an unknown ISBN: %v, want ErrNotFound", err)
	}
	if _, err := s.Restock(ctx, dune.ISBN, 0); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("Restock by 0: %v, want ErrInvalid", err)
	}
}

func testOrder(t *testing.T, s store.Store) {
	ctx := context.Background()
	placed, err := s.PlaceOrder(ctx, []store.Line{line(dune.ISBN, 2), line(emma.ISBN, 10)})
	if err != nil {
		t.Fatal(err)
	}
	if want := 2*dune.Price + 10*emma.Price; placed.Quote.Subtotal != want {
		t.Errorf("subtotal = %s, want %s", placed.Quote.Subtotal, want)
	}
	found, err := s.Order(ctx, placed.ID)
	if err != nil {
		t.Fatal(err)
	}
	if found.Quote != placed.Quote || !found.Placed.Equal(placed.Placed) || len(found.Lines) != 2 {
		t.Errorf("Order = %+v, want %+v", found, placed)
	}
	wantStock(t, s, dune.ISBN, 1)
	wantStock(t, s, emma.ISBN, 2)
	if _, err := s.Order(ctx, placed.ID+1); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the next order: %v, want ErrNotFound", err)
	}
}

func testRefused(t *testing.T, s store.Store) {
	for _, tt := range []struct {
		name  string
		lines []store.Line
		want  error
	}{
		{"no lines", nil, store.ErrInvalid},
		{"no copies", []store.Line{line(dune.ISBN, 0)}, store.ErrInvalid},
		{"named twice", []store.Line{line(dune.ISBN, 1), line(dune.ISBN, 1)}, store.ErrInvalid},
		{"unknown book", []store.Line{line(dune.ISBN, 1), line("9780134190440", 1)}, store.ErrNotFound},
		{"too many", []store.Line{line(emma.ISBN, 1), line(dune.ISBN, 4)}, store.ErrOutOfStock},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := s.PlaceOrder(context.Background(), tt.lines); !errors.Is(err, tt.want) {
				t.Errorf("PlaceOrder = %v, want %v", err, tt.want)
			}
			wantStock(t, s, dune.ISBN, dune.Stock)
			wantStock(t, s, emma.ISBN, emma.Stock)
		})
	}
}

func testConcurrent(t *testing.T, s store.Store) {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		sold int
	)
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			_, err := s.PlaceOrder(context.Background(), []store.Line{line(dune.ISBN, 1)})
			switch {
			case err == nil:
				mu.Lock()
				sold++
				mu.Unlock()
			case !errors.Is(err, store.ErrOutOfStock):
				t.Errorf("PlaceOrder: %v", err)
			}
		}()
	}
	wg.Wait()
	if sold != dune.Stock {
		t.Errorf("sold %d of %d copies", sold, dune.Stock)
	}
	wantStock(t, s, dune.ISBN, 0)
}

func line(isbn catalog.ISBN, quantity int) store.Line {
	return store.Line{ISBN: isbn, Quantity: quantity}
}

func wantStock(t *testing.T, s store.Store, isbn catalog.ISBN, want int) {
	t.Helper()
	book, err := s.Book(context.Background(), isbn)
	if err != nil {
		t.Fatal(err)
	}
	if book.Stock != want {
		t.Errorf("stock of %s = %d, want %d", book.Title, book.Stock, want)
	}
}
