package a

import (
	"testing"

	"example.com/build_errors/testcycle/b"
)

func TestA(t *testing.T) { _ = b.B }
