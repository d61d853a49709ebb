// Package toggle has tests that fail when SHOP_BROKEN holds their name.
package toggle

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func check(t *testing.T) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("SHOP_BROKEN"), ","), t.Name()) {
		t.Errorf("%s is broken", t.Name())
	}
}

func TestFirst(t *testing.T) { check(t) }

func TestSecond(t *testing.T) { check(t) }

func TestTable(t *testing.T) {
	t.Run("plain", func(t *testing.T) { check(t) })
	t.Run("two words", func(t *testing.T) { check(t) })
	t.Run("group", func(t *testing.T) {
		t.Run("leaf", func(t *testing.T) { check(t) })
	})
}

func TestLast(t *testing.T) { check(t) }
