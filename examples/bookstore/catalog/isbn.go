package catalog

import (
	"errors"
	"fmt"
	"strings"
)

// ISBN is a 13-digit book number without separators.
type ISBN string

// ErrISBN is wrapped by every error of ParseISBN.
var ErrISBN = errors.New("invalid ISBN")

// ParseISBN reads an ISBN-13 or ISBN-10, with or without hyphens and spaces,
// and returns it as 13 digits.
func ParseISBN(s string) (ISBN, error) {
	digits := strings.NewReplacer("-", "", " ", "").Replace(s)
	switch len(digits) {
	case 10:
		if !valid10(digits) {
			return "", fmt.Errorf("%w %q: wrong check digit", ErrISBN, s)
		}
		body := "978" + digits[:9]
		return ISBN(body + string(check13(body))), nil
	case 13:
		if !decimal(digits) {
			return "", fmt.Errorf("%w %q: not a number", ErrISBN, s)
		}
		if check13(digits[:12]) != digits[12] {
			return "", fmt.Errorf("%w %q: wrong check digit", ErrISBN, s)
		}
		return ISBN(digits), nil
	}
	return "", fmt.Errorf("%w %q: want 10 or 13 digits, got %d", ErrISBN, s, len(digits))
}

func decimal(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

func valid10(s string) bool {
	if !decimal(s[:9]) {
		return false
	}
	sum := 0
	for i, c := range s {
		value := int(c - '0')
		if c == 'X' && i == 9 {
			value = 10
		} else if c < '0' || c > '9' {
			return false
		}
		sum += (10 - i) * value
	}
	return sum%11 == 0
}

// check13 returns the check digit of the first twelve digits.
func check13(body string) byte {
	sum := 0
	for i, c := range body {
		weight := 1 + 2*(i%2)
		sum += weight * int(c-'0')
	}
	return byte('0' + (10-sum%10)%10)
}
