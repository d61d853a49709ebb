package ignored

import "testing"

func TestIgnored(t *testing.T) { t.Error("in testdata") }
