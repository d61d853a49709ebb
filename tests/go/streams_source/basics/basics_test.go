// Package basics passes in every ordinary way.
package basics

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestPass(t *testing.T) {}

func TestLog(t *testing.T) {
	t.Log("one line")
	t.Log("first\nsecond\nthird")
	t.Logf("%s", "")
}

func TestSkip(t *testing.T) { t.Skip("not today") }

func TestSkipNow(t *testing.T) { t.SkipNow() }

func TestSubtests(t *testing.T) {
	t.Run("one", func(t *testing.T) { t.Log("in one") })
	t.Run("two", func(t *testing.T) {
		t.Run("deep", func(t *testing.T) { t.Log("in deep") })
		t.Log("back in two")
	})
	t.Run("skipped", func(t *testing.T) { t.Skip("a subtest") })
	t.Log("back in the parent")
}

func TestTable(t *testing.T) {
	for _, c := range []struct {
		name string
		want int
	}{
		{"plain", 5}, {"with space", 10}, {"with/slash", 10}, {"", 0}, {"plain", 5}, {"tab\there", 8}, {"größe", 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := len(c.name); got != c.want {
				t.Errorf("len(%q) = %d, want %d", c.name, got, c.want)
			}
		})
	}
}

func TestNoNewline(t *testing.T) { fmt.Print("no newline at the end") }

func TestNoNewlineInSubtest(t *testing.T) {
	fmt.Print("before")
	t.Run("sub", func(t *testing.T) { fmt.Print("inside") })
	fmt.Print("after")
}

func TestStderr(t *testing.T) { fmt.Fprintln(os.Stderr, "on stderr") }

func TestLongLine(t *testing.T) {
	fmt.Println(strings.Repeat("0123456789", 500))
	t.Log(strings.Repeat("größe ", 700))
}

func TestCRLF(t *testing.T) { fmt.Print("dos line\r\nlone\rreturn\n") }

func TestUnicode(t *testing.T) {
	fmt.Println("größer 日本語 😀 \u2028 \u0000 end")
	t.Log("日本語 😀")
}

func TestInvalidUTF8(t *testing.T) {
	fmt.Print("bad \xff\xfe, cut \xe2\x82, lone \x80, surrogate \xed\xa0\x80, end\n")
	t.Log("bad \xf0\x9f\x98 end")
}

func FuzzSeeds(f *testing.F) {
	f.Add("a")
	f.Add("b")
	f.Fuzz(func(t *testing.T, s string) { t.Log("seed", s) })
}

func Example_print() {
	fmt.Println("hello")
	// Output: hello
}

func Example_unordered() {
	fmt.Println("b")
	fmt.Println("a")
	// Unordered output:
	// a
	// b
}
