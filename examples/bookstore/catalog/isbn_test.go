package catalog

import (
	"errors"
	"testing"
)

func TestParseISBN(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want ISBN
	}{
		{"13 digits", "9780134190440", "9780134190440"},
		{"hyphens", "978-0-13-419044-0", "9780134190440"},
		{"ISBN-10", "0-13-419044-0", "9780134190440"},
		{"check digit X", "0-8044-2957-X", "9780804429573"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseISBN(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("ParseISBN(%q) = %s, want %s", tt.in, got, tt.want)
			}
		})
	}
}

func TestParseISBNErrors(t *testing.T) {
	for name, in := range map[string]string{
		"empty":             "",
		"too short":         "12345",
		"letters":           "97801341904XY",
		"wrong check digit": "9780134190441",
		"X too early":       "X804429570",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ParseISBN(in); !errors.Is(err, ErrISBN) {
				t.Errorf("ParseISBN(%q) = %q, %v; want ErrISBN", in, got, err)
			}
		})
	}
}

func FuzzParseISBN(f *testing.F) {
	f.Add("978-0-13-419044-0")
	f.Add("0-8044-2957-X")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		isbn, err := ParseISBN(s)
		if err != nil {
			return
		}
		again, err := ParseISBN(string(isbn))
		if err != nil || again != isbn {
			t.Errorf("ParseISBN(%q) = %q, which reads back as %q, %v", s, isbn, again, err)
		}
	})
}
