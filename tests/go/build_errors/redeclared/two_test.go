package redeclared

import "testing"

func TestTwice(t *testing.T) {}
