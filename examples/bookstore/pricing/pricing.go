// Package pricing computes what an order costs. All amounts are in cents.
package pricing

import "fmt"

// Cents is an amount of money.
type Cents int64

func (c Cents) String() string {
	sign := ""
	if c < 0 {
		sign, c = "-", -c
	}
	return fmt.Sprintf("%s%d.%02d", sign, c/100, c%100)
}

// Line is one position of an order.
type Line struct {
	Unit     Cents
	Quantity int
}

// Quote is the price of a whole order.
type Quote struct {
	Subtotal Cents `json:"subtotal_cents"`
	Discount Cents `json:"discount_cents"`
	Shipping Cents `json:"shipping_cents"`
	Total    Cents `json:"total_cents"`
}

const (
	shipping     Cents = 495
	freeShipping Cents = 5000
	bulkFrom           = 10
	bulkPercent        = 15
)

// Price adds the lines up. From ten copies of one title on, that line is 15 %
// cheaper (rounded down to whole cents); shipping is free from 50.00 on.
func Price(lines []Line) Quote {
	var q Quote
	for _, line := range lines {
		amount := line.Unit * Cents(line.Quantity)
		q.Subtotal += amount
		if line.Quantity >= bulkFrom {
			q.Discount += amount * bulkPercent / 100
		}
	}
	if net := q.Subtotal - q.Discount; net > 0 && net < freeShipping {
		q.Shipping = shipping
	}
	q.Total = q.Subtotal - q.Discount + q.Shipping
	return q
}
