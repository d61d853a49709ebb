package partly

import "testing"

// TestNameIsNoSuffix: a file name that is an operating system's, with no _ before it, constrains nothing.
func TestNameIsNoSuffix(t *testing.T) {}
