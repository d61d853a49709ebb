package tools

import "testing"

func TestTools(t *testing.T) { t.Error("of another module") }
