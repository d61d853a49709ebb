package binary

import (
	"os"
	"testing"
)

func TestPrintsBytes(t *testing.T) {
	os.Stdout.WriteString("before\x00\xff\xfe\x1b[31mred\x1b[0m gr\u00fcn \xe2\x82\r\nhalf\rline\x0e\x0f\x1b after\n")
	t.Error("look at the bytes")
}

func TestAfter(t *testing.T) {}
