// Package postgres keeps the shop in a PostgreSQL database, whose tables migrations/ makes.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/bookstore/catalog"
	"example.com/bookstore/pricing"
	"example.com/bookstore/store"
)

const uniqueViolation = "23505" // errcodes.txt

// Store implements store.Store.
type Store struct {
	pool *pgxpool.Pool
}

var _ store.Store = (*Store)(nil)

// Open connects to the database of url when it is first needed.
func Open(ctx context.Context, url string) (*Store, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, err
	}
	return &Store{pool: pool}, nil
}

func (s *Store) AddBook(ctx context.Context, book catalog.Book) error {
	_, err := s.pool.Exec(ctx,
		`INSERT INTO books (isbn, title, author, price_cents, stock) VALUES ($1, $2, $3, $4, $5)`,
		book.ISBN, book.Title, book.Author, book.Price, book.Stock)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == uniqueViolation {
		return fmt.Errorf("book %s: %w", book.ISBN, store.ErrExists)
	}
	return err
}

const bookColumns = `isbn, title, author, price_cents, stock`

func (s *Store) Book(ctx context.Context, isbn catalog.ISBN) (catalog.Book, error) {
	rows, _ := s.pool.Query(ctx, `SELECT `+bookColumns+` FROM books WHERE isbn = $1`, isbn)
	return one(rows, isbn)
}

func one(rows pgx.Rows, isbn catalog.ISBN) (catalog.Book, error) {
	book, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[catalog.Book])
	if errors.Is(err, pgx.ErrNoRows) {
		return catalog.Book{}, fmt.Errorf("book %s: %w", isbn, store.ErrNotFound)
	}
	return book, err
}

func (s *Store) Books(ctx context.Context, q store.Query) ([]catalog.Book, error) {
	limit := &q.Limit
	if q.Limit <= 0 {
		limit = nil
	}
	rows, _ := s.pool.Query(ctx,
		`SELECT `+bookColumns+` FROM books
		 WHERE strpos(lower(title || E'\n' || author), $1) > 0 OR $1 = ''
		 ORDER BY title COLLATE "C", isbn LIMIT $2`,
		strings.ToLower(q.Text), limit)
	books, err := pgx.CollectRows(rows, pgx.RowToStructByPos[catalog.Book])
	if books == nil {
		books = []catalog.Book{}
	}
	return books, err
}

func (s *Store) Restock(ctx context.Context, isbn catalog.ISBN, copies int) (int, error) {
	if copies < 1 {
		return 0, fmt.Errorf("%w: restock by %d", store.ErrInvalid, copies)
	}
	var stock int
	err := s.pool.QueryRow(ctx,
		`UPDATE books SET stock = stock + $2 WHERE isbn = $1 RETURNING stock`, isbn, copies).Scan(&stock)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("book %s: %w", isbn, store.ErrNotFound)
	}
	return stock, err
}

func (s *Store) PlaceOrder(ctx context.Context, lines []store.Line) (store.Order, error) {
	if err := store.Validate(lines); err != nil {
		return store.Order{}, err
	}
	order := store.Order{Lines: slices.Clone(lines)}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		priced, err := take(ctx, tx, lines)
		if err != nil {
			return err
		}
		order.Quote = pricing.Price(priced)
		return record(ctx, tx, &order)
	})
	if err != nil {
		return store.Order{}, err
	}
	return order, nil
}

// take gets the copies out of stock. Books are locked in one order, or two buyers could wait for each other.
func take(ctx context.Context, tx pgx.Tx, lines []store.Line) ([]pricing.Line, error) {
	sorted := slices.Clone(lines)
	slices.SortFunc(sorted, func(a, b store.Line) int { return strings.Compare(string(a.ISBN), string(b.ISBN)) })
	unit := make(map[catalog.ISBN]pricing.Cents, len(lines))
	for _, line := range sorted {
		rows, _ := tx.Query(ctx, `SELECT `+bookColumns+` FROM books WHERE isbn = $1 FOR UPDATE`, line.ISBN)
		book, err := one(rows, line.ISBN)
		if err != nil {
			return nil, err
		}
		if book.Stock < line.Quantity {
			return nil, fmt.Errorf("book %s: %w: %d left, %d ordered",
				line.ISBN, store.ErrOutOfStock, book.Stock, line.Quantity)
		}
		if _, err := tx.Exec(ctx, `UPDATE books SET stock = stock - $2 WHERE isbn = $1`,
			line.ISBN, line.Quantity); err != nil {
			return nil, err
		}
		unit[line.ISBN] = book.Price
	}
	priced := make([]pricing.Line, len(lines))
	for i, line := range lines {
		priced[i] = pricing.Line{Unit: unit[line.ISBN], Quantity: line.Quantity}
	}
	return priced, nil
}

func record(ctx context.Context, tx pgx.Tx, order *store.Order) error {
	q := order.Quote
	err := tx.QueryRow(ctx,
		`INSERT INTO orders (subtotal_cents, discount_cents, shipping_cents, total_cents)
		 VALUES ($1, $2, $3, $4) RETURNING id, placed`,
		q.Subtotal, q.Discount, q.Shipping, q.Total).Scan(&order.ID, &order.Placed)
	if err != nil {
		return err
	}
	order.Placed = order.Placed.UTC()
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"order_lines"},
		[]string{"order_id", "position", "isbn", "quantity"},
		pgx.CopyFromSlice(len(order.Lines), func(i int) ([]any, error) {
			return []any{order.ID, i, string(order.Lines[i].ISBN), order.Lines[i].Quantity}, nil
		}))
	return err
}

func (s *Store) Order(ctx context.Context, id int64) (store.Order, error) {
	order := store.Order{ID: id}
	q := &order.Quote
	err := s.pool.QueryRow(ctx,
		`SELECT placed, subtotal_cents, discount_cents, shipping_cents, total_cents FROM orders WHERE id = $1`, id).
		Scan(&order.Placed, &q.Subtotal, &q.Discount, &q.Shipping, &q.Total)
	if errors.Is(err, pgx.ErrNoRows) {
		return store.Order{}, fmt.Errorf("order %d: %w", id, store.ErrNotFound)
	}
	if err != nil {
		return store.Order{}, err
	}
	order.Placed = order.Placed.UTC()
	rows, _ := s.pool.Query(ctx,
		`SELECT isbn, quantity FROM order_lines WHERE order_id = $1 ORDER BY position`, id)
	order.Lines, err = pgx.CollectRows(rows, pgx.RowToStructByPos[store.Line])
	return order, err
}

func (s *Store) Ping(ctx context.Context) error { return s.pool.Ping(ctx) }

func (s *Store) Close() error {
	s.pool.Close()
	return nil
}
