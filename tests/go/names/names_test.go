package names

import (
	"strings"
	"testing"
)

func TestSlash(t *testing.T) {
	t.Run("a/b", func(t *testing.T) {})
	t.Run("a/c", func(t *testing.T) { t.Error("c is wrong") })
	t.Run("/lead", func(t *testing.T) {})
	t.Run("trail/", func(t *testing.T) {})
}

func TestNasty(t *testing.T) {
	for _, name := range []string{
		"two words",
		"tab\tand\nnewline",
		"grün 日本語 🎉",
		"\"double\" 'single' `back`",
		"pipe|or",
		"[brackets]",
		"open[",
		"close]",
		"(a+b)*c?^$.{2}",
		"a::b",
		`back\slash`,
		"",
		"comma,semicolon;%41&=~!@",
		"control\x01\x1b",
		"invalid\xff",
		"-flag",
		"..•../etc",
		"--- FAIL: TestNasty (0.00s)",
	} {
		t.Run(name, func(t *testing.T) {})
	}
}

func TestDuplicates(t *testing.T) {
	for i, name := range []string{"same", "same", "same", "", ""} {
		t.Run(name, func(t *testing.T) {
			if i == 1 {
				t.Error("the second is wrong")
			}
		})
	}
}

// TestLong has a subtest whose framing line no longer fits into 4096 bytes, where
// Go's own tool stops recognising it.
func TestLong(t *testing.T) {
	t.Run(strings.Repeat("very ", 1000)+"long", func(t *testing.T) {
		t.Error("a long name")
	})
}

func TestÜnïcode(t *testing.T) {}

func Test(t *testing.T) {}

func Test_(t *testing.T) {}

func Test1(t *testing.T) {}
