//go:build go1.25

package attrs

import (
	"fmt"
	"testing"
)

func TestAttr(t *testing.T) {
	t.Attr("key", "value")
	t.Attr("issue", "a longer value, with = and ünïcode")
	t.Attr("empty", "")
	t.Run("sub", func(t *testing.T) { t.Attr("in", "the subtest") })
}

func TestOutput(t *testing.T) {
	fmt.Fprint(t.Output(), "to the output\nand without an end")
	t.Log("a log")
	fmt.Fprint(t.Output(), "last")
}
