package customer

import (
	"testing"

	"example.com/shop/supplier"
)

func TestBuy(t *testing.T) {
	if supplier.Price() != 10 {
		t.Error("too much")
	}
}
