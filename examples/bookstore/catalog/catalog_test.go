package catalog_test

import (
	"fmt"
	"strings"
	"testing"

	"example.com/bookstore/catalog"
)

func TestValidate(t *testing.T) {
	good := catalog.Book{ISBN: "9780134190440", Title: "The Go Programming Language", Price: 3999}
	if err := good.Validate(); err != nil {
		t.Fatalf("a good book: %v", err)
	}

	bad := catalog.Book{ISBN: "123", Price: -1, Stock: -2}
	err := bad.Validate()
	if err == nil {
		t.Fatal("a bad book passed")
	}
	for _, want := range []string{"invalid ISBN", "title is empty", "price -1", "stock -2"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

func ExampleParseISBN() {
	isbn, err := catalog.ParseISBN("0-13-419044-0")
	fmt.Println(isbn, err)
	_, err = catalog.ParseISBN("0-13-419044-1")
	fmt.Println(err)
	// Output:
	// 9780134190440 <nil>
	// invalid ISBN "0-13-419044-1": wrong check digit
}
