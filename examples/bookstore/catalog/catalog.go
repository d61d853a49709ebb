// Package catalog describes the books that the shop sells.
package catalog

import (
	"errors"
	"fmt"
	"strings"

	"example.com/bookstore/pricing"
)

// Book is one title on sale.
type Book struct {
	ISBN   ISBN          `json:"isbn"`
	Title  string        `json:"title"`
	Author string        `json:"author"`
	Price  pricing.Cents `json:"price_cents"`
	Stock  int           `json:"stock"`
}

// Validate reports every field that keeps the book out of the catalog.
func (b Book) Validate() error {
	var problems []error
	if _, err := ParseISBN(string(b.ISBN)); err != nil {
		problems = append(problems, err)
	}
	if strings.TrimSpace(b.Title) == "" {
		problems = append(problems, errors.New("title is empty"))
	}
	if b.Price < 0 {
		problems = append(problems, fmt.Errorf("price %d is negative", b.Price))
	}
	if b.Stock < 0 {
		problems = append(problems, fmt.Errorf("stock %d is negative", b.Stock))
	}
	return errors.Join(problems...)
}
