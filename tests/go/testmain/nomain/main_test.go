package nomain

import "testing"

// TestMain is an ordinary test: its parameter is no *testing.M.
func TestMain(t *testing.T) {}

func TestOther(t *testing.T) {}
