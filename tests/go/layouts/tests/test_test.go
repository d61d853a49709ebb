package tests

import "testing"

func TestInTests(t *testing.T) {}
