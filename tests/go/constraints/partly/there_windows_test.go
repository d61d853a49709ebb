package partly

import "testing"

func TestThere(t *testing.T) { t.Error("built although for Windows") }
