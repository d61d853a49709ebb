package attrs

import (
	"fmt"
	"testing"
)

func TestAttr(t *testing.T) {
	t.Attr("requirement", "REQ-7")
	t.Attr("value", "with spaces = and \"quotes\"")
	t.Run("sub", func(t *testing.T) { t.Attr("owner", "ops") })
}

func TestAttrThenFails(t *testing.T) {
	t.Attr("issue", "12")
	t.Error("tracked elsewhere")
}

func TestOutput(t *testing.T) {
	fmt.Fprint(t.Output(), "by way of t.Output\nand an open line")
	t.Fail()
}
