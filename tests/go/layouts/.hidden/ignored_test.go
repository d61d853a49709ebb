package ignored

import "testing"

func TestIgnored(t *testing.T) { t.Error("in a directory that begins with _") }
