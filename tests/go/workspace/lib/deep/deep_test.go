package deep

import "testing"

func TestDeep(t *testing.T) { t.Error("deep trouble") }
