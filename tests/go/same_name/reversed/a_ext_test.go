package reversed_test

import "testing"

// The external file sorts first; Go still runs the internal package's tests before it.
func TestParse(t *testing.T) { t.Error("the external one fails") }
