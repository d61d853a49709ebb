package pricing

import (
	"fmt"
	"testing"
)

func TestPrice(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		lines []Line
		want  Quote
	}{
		{name: "nothing"},
		{
			name:  "one book pays shipping",
			lines: []Line{{Unit: 1999, Quantity: 1}},
			want:  Quote{Subtotal: 1999, Shipping: 495, Total: 2494},
		},
		{
			name:  "free shipping from 50.00",
			lines: []Line{{Unit: 2500, Quantity: 2}},
			want:  Quote{Subtotal: 5000, Total: 5000},
		},
		{
			name:  "bulk discount is per title",
			lines: []Line{{Unit: 1000, Quantity: 10}, {Unit: 999, Quantity: 9}},
			want:  Quote{Subtotal: 18991, Discount: 1500, Total: 17491},
		},
		{
			name:  "discount rounds down",
			lines: []Line{{Unit: 1, Quantity: 13}},
			want:  Quote{Subtotal: 13, Discount: 1, Shipping: 495, Total: 507},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := Price(tt.lines); got != tt.want {
				t.Errorf("Price = %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestCents(t *testing.T) {
	for cents, want := range map[Cents]string{0: "0.00", 5: "0.05", 1999: "19.99", -250: "-2.50"} {
		if got := cents.String(); got != want {
			t.Errorf("Cents(%d) = %s, want %s", int64(cents), got, want)
		}
	}
}

func ExamplePrice() {
	q := Price([]Line{{Unit: 1250, Quantity: 12}})
	fmt.Println("subtotal", q.Subtotal)
	fmt.Println("discount", q.Discount)
	fmt.Println("total   ", q.Total)
	// Output:
	// subtotal 150.00
	// discount 22.50
	// total    127.50
}

func BenchmarkPrice(b *testing.B) {
	lines := []Line{{Unit: 1999, Quantity: 3}, {Unit: 999, Quantity: 12}}
	for i := 0; i < b.N; i++ {
		Price(lines)
	}
}
